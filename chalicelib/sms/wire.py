"""One POST to a vendor, and what its failure means for the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from .gateway import Outcome

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer; a person is waiting."""


@dataclass(frozen=True)
class Answer:
    """A vendor's answer; `body` is its JSON object, None where it sent something else."""

    status: int
    body: dict[str, Any] | None


@dataclass(frozen=True)
class NoAnswer:
    """Why there was none, and what follows for the message."""

    outcome: Outcome
    reason: str


def post(
    session: requests.Session, url: str, body: bytes, headers: Mapping[str, str]
) -> Answer | NoAnswer:
    """Send once. Where the request may have arrived, the outcome is UNKNOWN: nobody sends again.

    Exceptions of requests can quote the address and the body, so only their kind is kept.
    """
    try:
        response = session.post(
            url, data=body, headers=dict(headers), timeout=TIMEOUT, allow_redirects=False
        )
    except requests.exceptions.ConnectTimeout:
        return NoAnswer(Outcome.TRY_ANOTHER, "connect time-out")
    except requests.exceptions.SSLError:
        return NoAnswer(Outcome.TRY_ANOTHER, "TLS failure")
    except requests.exceptions.ConnectionError as error:
        # A refused connection and a broken one are of one class; the cause's name parts them.
        if "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error):
            return NoAnswer(Outcome.TRY_ANOTHER, "no connection")
        return NoAnswer(Outcome.UNKNOWN, "connection lost")
    except requests.exceptions.RequestException as error:
        return NoAnswer(Outcome.UNKNOWN, type(error).__name__)
    try:
        parsed = response.json()
    except ValueError:
        parsed = None
    return Answer(response.status_code, parsed if isinstance(parsed, dict) else None)
