"""One POST to a vendor, and what its failure means for the message."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ..wire import content, sent
from .gateway import Outcome

if TYPE_CHECKING:
    import requests

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer; a person is waiting."""

# On DEBUG urllib3 logs the address of each request; Aliyun wants the phone and the code in there.
logging.getLogger("urllib3").setLevel(logging.INFO)

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


def post(
    session: Callable[[], requests.Session], url: str, body: bytes, headers: Mapping[str, str]
) -> Answer | NoAnswer:
    """Send once, and never raise. The session gives headers and TLS trust.

    TRY_ANOTHER stands for a request that has certainly not arrived: no address, no connection, no
    TLS. From then on the outcome is UNKNOWN, and nobody sends again.
    """
    from requests import Request

    try:
        request = Request("POST", url, dict(headers), data=body)
        with sent(session, request, TIMEOUT) as response:
            return Answer(response.status_code, _object(response))
    except Exception as error:
        # Exceptions of requests quote the address and the body, so only their kind is kept.
        unsent = never_left(error)
        return NoAnswer(
            Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN,
            f"{'not connected' if unsent else 'no answer'}: {type(error).__name__}",
        )


def never_left(error: BaseException) -> bool:
    """Whether a failed request has certainly sent nothing of its message."""
    unsent = _unsent()
    return any(isinstance(cause, unsent) or _in_handshake(cause) for cause in _causes(error))


def word(value: Any) -> str:
    """A vendor's code, or its name of a request or message, as it may be kept; "" where it is no
    such word, for then it may be anything, the phone included.
    """
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _unsent() -> tuple[type[BaseException], ...]:
    """What is raised before the first byte of a request is written."""
    from requests import exceptions

    return (
        NewConnectionError,
        ConnectTimeoutError,
        UnicodeEncodeError,
        exceptions.InvalidURL,
        exceptions.InvalidHeader,
        exceptions.InvalidSchema,
        exceptions.MissingSchema,
    )


def _in_handshake(cause: BaseException) -> bool:
    # A handshake that fails and a record that breaks later are of one class; the place parts them.
    frames = traceback.walk_tb(cause.__traceback__)
    return any(frame.f_code.co_name == "do_handshake" for frame, _ in frames)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps: urllib3's in requests' and botocore's.

    `__context__` is left out, since it may lead to whatever the caller was handling.
    """
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            wrapped = getattr(cause, "kwargs", None)
            waiting += [cause.__cause__, getattr(cause, "reason", None), *cause.args]
            waiting += wrapped.values() if isinstance(wrapped, dict) else ()


def _object(response: requests.Response) -> dict[str, Any] | None:
    deadline = time.monotonic() + TIMEOUT[1]
    try:
        body = content(response, lambda: time.monotonic() > deadline)
        parsed = json.loads(body or b"")
    except Exception:
        # The status is known by now; a body that breaks off or is no JSON says nothing more.
        return None
    return parsed if isinstance(parsed, dict) else None
