"""Send one request to WeChat's platform and classify its failure.

The URL contains the access token or the AppSecret, responses to OAuth the openid. Logs and exceptions
contain none of them, only the kind of the failure.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from ..http_client import HttpClient, OutcomeUnknown, RequestNotSent, Response

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """There is no readable response; `arrived` is whether the request may have arrived."""

    def __init__(self, arrived: bool) -> None:
        super().__init__("may have arrived" if arrived else "did not arrive")
        self.arrived = arrived


def request(
    client: HttpClient,
    api_url: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, Any] | None,
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """POST the body as JSON, or GET where it is None; return the JSON object of the response.

    `seconds_left` returns the time-out of the request. Raises NoAnswer.
    """
    url = f"{api_url}{path}?{urlencode(query)}"
    # WeChat shows \u escapes to people undecoded, so nothing is escaped.
    payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    method = "GET" if payload is None else "POST"
    headers = {} if payload is None else {"Content-Type": "application/json; charset=utf-8"}
    arrived = True
    try:
        response = client.request(method, url, headers, payload, seconds_left=seconds_left())
    except RequestNotSent as error:
        log.warning("no connection to wechat: %s %s", path, error)
        arrived = False
    except OutcomeUnknown as error:
        log.warning("no answer from wechat: %s %s", path, error)
    else:
        answer = _json_object(response)
        if answer is not None:
            return answer
        log.warning("unreadable answer from wechat: %s status %s", path, response.status)
        # WeChat always responds with 200. A proxy that redirects or refuses has forwarded nothing.
        arrived = not 300 <= response.status < 500
    # Not within an except clause, so that the exception has no context.
    raise NoAnswer(arrived)


def _json_object(response: Response) -> dict[str, Any] | None:
    if response.status != 200:
        return None
    # WeChat does not escape the control characters in names that people gave themselves, and cuts
    # other texts within a character. None of them is used here.
    # Sources: github.com/wechatpy/wechatpy/pull/154, lanrion/weixin_authorize/pull/52,
    # node-webot/co-wechat-api/issues/63, chanxuehong/wechat/pull/187.
    text = (response.body or b"").decode("utf-8-sig", "replace")
    try:
        answer = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or type(answer.get("errcode", 0)) is not int:
        return None
    return answer
