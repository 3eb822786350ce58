"""One request to WeChat's platform, and what its failure means.

A request's address holds the access token or the AppSecret, and the answers to OAuth the openid.
None of them reaches a log or an exception, so what goes wrong below ends here.
"""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from ..wire import NotSent, Trust, content, sent

log = logging.getLogger(__name__)

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer."""


class NoAnswer(Exception):
    """There was no answer that can be understood; `arrived` tells whether the request may have."""

    def __init__(self, arrived: bool) -> None:
        super().__init__("may have arrived" if arrived else "did not arrive")
        self.arrived = arrived


def ask(
    trust: Trust,
    api_url: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, Any] | None,
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """POST the body as JSON, or GET where there is none; the object that WeChat answers.

    Raises NoAnswer.
    """
    left = seconds_left()
    if left <= 0:
        raise NoAnswer(arrived=False)
    url = f"{api_url}{path}?{urlencode(query)}"
    # WeChat shows escaped characters to people as they are written, so none is escaped.
    payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    method = "GET" if payload is None else "POST"
    headers = {} if payload is None else {"Content-Type": "application/json; charset=utf-8"}
    timeout = (min(TIMEOUT[0], left), min(TIMEOUT[1], left))
    arrived = True
    try:
        with sent(trust, method, url, headers, payload, timeout) as response:
            status, body_read = response.status, content(response, lambda: seconds_left() <= 0)
    except NotSent as error:
        log.warning("no connection to wechat: %s %s", path, error)
        arrived = False
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Their words may quote the answer: the kind will do.
        log.warning("no answer from wechat: %s %s", path, type(error).__name__)
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
