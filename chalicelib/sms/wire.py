"""One POST to a vendor, and what its failure means for the message."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..wire import NotSent, Trust, content, sent
from .gateway import Outcome

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer; a person is waiting."""

_WORD = re.compile(r"[A-Za-z0-9._:^-]{1,64}")


@dataclass(frozen=True)
class Answer:
    """A vendor's answer; `body` is its JSON object, None where it sent something else."""

    status: int
    body: dict[str, Any] | None

    @property
    def unreadable(self) -> Outcome:
        """What follows where the body does not say: a 2xx may have been a success."""
        return Outcome.UNKNOWN if 200 <= self.status < 300 else Outcome.TRY_ANOTHER


@dataclass(frozen=True)
class NoAnswer:
    """Why there was none, and what follows for the message."""

    outcome: Outcome
    reason: str


def post(trust: Trust, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | NoAnswer:
    """Send once, and never raise.

    TRY_ANOTHER stands for a request that has certainly not arrived: no address, no connection, no
    TLS. From then on the outcome is UNKNOWN, and nobody sends again.
    """
    try:
        with sent(trust, "POST", url, headers, body, TIMEOUT) as response:
            return Answer(response.status, _object(response))
    except NotSent as error:
        return NoAnswer(Outcome.TRY_ANOTHER, f"not connected: {error}")
    except Exception as error:
        # Its words may quote the address or the body, so only its kind is kept.
        return NoAnswer(Outcome.UNKNOWN, f"no answer: {type(error).__name__}")


def word(value: Any) -> str:
    """A vendor's code, or its name of a request or message, as it may be kept; "" where it is no
    such word, for then it may be anything, the phone included.
    """
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _object(response: http.client.HTTPResponse) -> dict[str, Any] | None:
    deadline = time.monotonic() + TIMEOUT[1]
    try:
        body = content(response, lambda: time.monotonic() > deadline)
        parsed = json.loads(body or b"")
    except Exception:
        # The status is known by now; a body that breaks off or is no JSON says nothing more.
        return None
    return parsed if isinstance(parsed, dict) else None
