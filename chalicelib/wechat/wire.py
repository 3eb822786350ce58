"""One request to WeChat's platform, and what its failure means.

A request's address holds the access token or the AppSecret, and the answers to OAuth the openid.
None of them reaches a log or an exception, so what requests and urllib3 raise ends here.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from ..wire import content, sent

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer."""

# urllib3 names the whole address: on DEBUG each time, on WARNING where an answer's head is broken.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class NoAnswer(Exception):
    """There was no answer that can be understood; `arrived` tells whether the request may have."""

    def __init__(self, arrived: bool) -> None:
        super().__init__("may have arrived" if arrived else "did not arrive")
        self.arrived = arrived


class _Payload(io.BytesIO):
    """A body that knows whether sending it has begun, which no exception tells reliably."""

    begun = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.begun = True
        return super().read(size)


def ask(
    session: Callable[[], requests.Session],
    api_url: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, Any] | None,
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """POST the body as JSON, or GET where there is none; the object that WeChat answers.

    The session gives headers and TLS trust. Raises NoAnswer.
    """
    from requests import Request

    left = seconds_left()
    if left <= 0:
        raise NoAnswer(arrived=False)
    # WeChat shows escaped characters to people as they are written, so none is escaped.
    payload = None if body is None else _Payload(json.dumps(body, ensure_ascii=False).encode())
    request = Request(
        "GET" if payload is None else "POST",
        api_url + path,
        {} if payload is None else {"Content-Type": "application/json; charset=utf-8"},
        params=query,
        data=payload,
    )
    arrived = True
    try:
        timeout = (min(TIMEOUT[0], left), min(TIMEOUT[1], left))
        with sent(session, request, timeout) as response:
            status, body_read = response.status_code, content(response, lambda: seconds_left() <= 0)
    except (OSError, ValueError, HTTPError) as error:
        # OSError is what requests' exceptions descend from. They quote the address: the kind will do.
        log.warning("no answer from wechat: %s %s", path, type(error).__name__)
        arrived = payload is None or payload.begun
    else:
        answer = _object(body_read) if status == 200 else None
        if answer is not None:
            return answer
        log.warning("unreadable answer from wechat: %s status %s", path, status)
        # WeChat itself always answers 200. A proxy that redirects or refuses has passed nothing on.
        arrived = not 300 <= status < 500
    # Outside the handlers, so that the exception carries no other one along.
    raise NoAnswer(arrived)


def _object(body: bytes | None) -> dict[str, Any] | None:
    try:
        answer = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or type(answer.get("errcode", 0)) is not int:
        return None
    return answer
