"""One request to WeChat's platform, and what its failure means.

A request's address holds the access token or the AppSecret, and the answers to OAuth the openid.
None of them reaches a log or an exception, so what requests and urllib3 raise ends here.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

log = logging.getLogger(__name__)

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer."""

MAXIMUM_ANSWER = 65_536
"""Bytes of an answer that are read; WeChat's have a few hundred."""

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

    The session gives headers and TLS trust. Each request has a connection of its own: one kept
    since the last request may have died meanwhile, and a message lost on it could not be told from
    one that WeChat took. Raises NoAnswer.
    """
    left = seconds_left()
    if left <= 0:
        raise NoAnswer(arrived=False)
    # WeChat shows escaped characters to people as they are written, so none is escaped.
    payload = None if body is None else _Payload(json.dumps(body, ensure_ascii=False).encode())
    request = requests.Request(
        "GET" if payload is None else "POST",
        api_url + path,
        {
            "Connection": "close",
            **({} if payload is None else {"Content-Type": "application/json; charset=utf-8"}),
        },
        params=query,
        data=payload,
    )
    arrived = True
    try:
        with closing(HTTPAdapter()) as connection:
            given = session()
            # Whatever the session says, the certificate is checked.
            trust = given.verify or True
            timeout = (min(TIMEOUT[0], left), min(TIMEOUT[1], left))
            with connection.send(
                given.prepare_request(request), stream=True, timeout=timeout, verify=trust
            ) as response:
                status, content = response.status_code, _content(response, seconds_left)
    except (OSError, ValueError, HTTPError) as error:
        # OSError is what requests' exceptions descend from. They quote the address: the kind will do.
        log.warning("no answer from wechat: %s %s", path, type(error).__name__)
        arrived = payload is None or payload.begun
    else:
        answer = _object(content) if status == 200 else None
        if answer is not None:
            return answer
        log.warning("unreadable answer from wechat: %s status %s", path, status)
        # WeChat itself always answers 200. A proxy that redirects or refuses has passed nothing on.
        arrived = not 300 <= status < 500
    # Outside the handlers, so that the exception carries no other one along.
    raise NoAnswer(arrived)


def _content(response: requests.Response, seconds_left: Callable[[], float]) -> bytes:
    content = b""
    while chunk := response.raw.read1(MAXIMUM_ANSWER, decode_content=True):
        content += chunk
        # A server that trickles would otherwise hold the person for as long as it likes.
        if len(content) > MAXIMUM_ANSWER or seconds_left() <= 0:
            return b""
    return content


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or type(answer.get("errcode", 0)) is not int:
        return None
    return answer
