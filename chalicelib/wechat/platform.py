"""The one client of WeChat's platform: OAuth, template messages, QR codes, the menu.

Error codes: WeChat's "Global return codes" and the page of each interface. What a request carries
never reaches a log or an exception: its address holds the access token or the AppSecret.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlencode

import requests

from ..domain.errors import Unavailable

log = logging.getLogger(__name__)

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, seconds to wait for an answer."""

# The token is not, or no longer, the account's.
_STALE_TOKEN = frozenset({40001, 40014, 42001})
# Somebody must act: quota, address not on the whitelist, no permission, template or its data wrong.
_ALARMS = frozenset({45009, 40164, 48001, 40037, 47003})
# The code is wrong, used, too old or missing; asking again with the same one is of no use.
_CODE_REFUSED = frozenset({40029, 40163, 41008, 42003, 40226})
_NOT_FOLLOWING = 43004
_BUSY = -1

_RID = re.compile(r"rid: ?([0-9a-f-]{8,64})")

_BUSY_TRIES = 3
_BUSY_PAUSE = 0.3


class OAuthRefused(Exception):
    """WeChat does not take the code; the person enters anew."""


class TemplateOutcome(StrEnum):
    """What became of a template message."""

    SENT = "sent"
    NOT_FOLLOWING = "not-following"
    NO_TEMPLATE = "no-template"
    """The account cannot push this now, or this person declined it; the message may be fetched."""
    UNKNOWN = "unknown"
    """No answer in time: it may have been sent."""


@dataclass(frozen=True)
class TemplateResult:
    """`msgid` is the name by which the receipt (TEMPLATESENDJOBFINISH) calls the message."""

    outcome: TemplateOutcome
    msgid: str | None = None
    errcode: int | None = None


class TokenStore(Protocol):
    """Where all instances share the access token."""

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """The shared token; `fetch` asks the platform for a token and its lifetime in seconds.

        `stale` is a token that the platform has refused and that must not come back.
        """
        ...


class _Silent(Exception):
    """No answer: `sent` tells whether the request may have arrived."""

    def __init__(self, sent: bool) -> None:
        super().__init__("may have arrived" if sent else "did not arrive")
        self.sent = sent


class Platform:
    """Calls to WeChat's servers. Raises Unavailable("wechat") where they do not do as asked."""

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        api_url: str,
        open_url: str,
        tokens: TokenStore,
        session: Callable[[], requests.Session],
        clock: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        """`api_url` may be a forward proxy's; both addresses are without a slash at the end."""
        self._app_id = app_id
        self._app_secret = app_secret
        self._api_url = api_url
        self._open_url = open_url
        self._tokens = tokens
        self._session = session
        self._clock = clock
        self._sleep = sleep

    def authorize_url(self, redirect_uri: str, state: str) -> str:
        """Where a browser inside WeChat goes to be told who it is, without a question to the person."""
        # WeChat compares the parameters' order, and wants the fragment.
        query = urlencode(
            {
                "appid": self._app_id,
                "redirect_uri": redirect_uri,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": state,
            }
        )
        return f"{self._open_url}/connect/oauth2/authorize?{query}#wechat_redirect"

    def exchange(self, code: str) -> str:
        """The openid of an OAuth code, which is used up by this. Raises OAuthRefused."""
        query = {
            "appid": self._app_id,
            "secret": self._app_secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        try:
            answer = self._request("GET", "/sns/oauth2/access_token", query, None)
        except _Silent:
            raise Unavailable("wechat") from None
        errcode = _errcode(answer)
        if errcode in _CODE_REFUSED:
            raise OAuthRefused
        openid = answer.get("openid")
        if errcode or not isinstance(openid, str) or not openid:
            raise Unavailable("wechat")
        return openid

    def send_template(
        self,
        openid: str,
        template_id: str,
        fields: Mapping[str, str],
        *,
        url: str | None,
        client_msg_id: str,
    ) -> TemplateResult:
        """Push a template message; `client_msg_id` lets WeChat drop a repeat within ten minutes.

        Raises Unavailable where it was certainly not sent and cannot be now.
        """
        body: dict[str, Any] = {
            "touser": openid,
            "template_id": template_id,
            "data": {name: {"value": value} for name, value in fields.items()},
            "client_msg_id": client_msg_id,
        }
        if url is not None:
            body["url"] = url
        try:
            answer = self._with_token("/cgi-bin/message/template/send", body)
        except _Silent as silence:
            if not silence.sent:
                raise Unavailable("wechat") from None
            return TemplateResult(TemplateOutcome.UNKNOWN)
        errcode = _errcode(answer)
        if errcode == 0:
            return TemplateResult(TemplateOutcome.SENT, msgid=str(answer.get("msgid", "")))
        if errcode == _NOT_FOLLOWING:
            return TemplateResult(TemplateOutcome.NOT_FOLLOWING, errcode=errcode)
        if errcode == _BUSY:
            raise Unavailable("wechat")
        return TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=errcode)

    def follow_qr(self, scene: str, lifetime: int) -> str:
        """What to draw as a QR code that leads to the account, with a scene of 1 to 64 characters."""
        body = {
            "expire_seconds": lifetime,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        url = self._done("/cgi-bin/qrcode/create", body).get("url")
        if not isinstance(url, str) or not url:
            raise Unavailable("wechat")
        return url

    def is_following(self, openid: str) -> bool:
        """Whether the openid follows the account now."""
        answer = self._done("/cgi-bin/user/info", None, {"openid": openid, "lang": "zh_CN"})
        return bool(answer.get("subscribe"))

    def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Put a menu in place of the account's present one."""
        self._done("/cgi-bin/menu/create", menu)

    def _done(
        self, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = self._with_token(path, body, query)
        except _Silent:
            raise Unavailable("wechat") from None
        if _errcode(answer):
            raise Unavailable("wechat")
        return answer

    def _with_token(
        self, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        stale: str | None = None
        while True:
            token = self._tokens.get(self._fetch_token, stale)
            answer = self._patiently(path, body, {**(query or {}), "access_token": token})
            # One refresh and one repeat; a second refusal is not the token's fault.
            if _errcode(answer) not in _STALE_TOKEN or stale is not None:
                return answer
            stale = token

    def _patiently(
        self, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str]
    ) -> dict[str, Any]:
        for attempt in range(_BUSY_TRIES):
            if attempt:
                self._sleep(_BUSY_PAUSE * 2 ** (attempt - 1))
            answer = self._request("POST" if body is not None else "GET", path, query, body)
            if _errcode(answer) != _BUSY:
                break
        return answer

    def _fetch_token(self) -> tuple[str, int]:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": False,
        }
        try:
            answer = self._patiently("/cgi-bin/stable_token", body, {})
        except _Silent:
            raise Unavailable("wechat") from None
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(lifetime, int):
            raise Unavailable("wechat")
        return token, lifetime

    def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        # WeChat shows escaped characters to people as they are written, so none is escaped.
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if payload is None else {"Content-Type": "application/json; charset=utf-8"}
        try:
            response = self._session().request(
                method,
                self._api_url + path,
                params=query,
                data=payload,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError):
            arrived = False
        except requests.exceptions.ConnectionError as error:
            # requests tells a refused connection and a broken one apart in its text alone.
            arrived = "NewConnectionError" not in repr(error) and "NameResolution" not in repr(
                error
            )
        except requests.exceptions.RequestException:
            arrived = True
        else:
            return self._read(path, response)
        log.warning("no answer from wechat: %s", path)
        raise _Silent(arrived)

    @staticmethod
    def _read(path: str, response: requests.Response) -> dict[str, Any]:
        try:
            answer = response.json() if response.status_code == 200 else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            log.warning("unreadable answer from wechat: %s %s", path, response.status_code)
            raise _Silent(True)
        errcode = _errcode(answer)
        if errcode:
            rid = _RID.search(str(answer.get("errmsg", "")))
            alarm = {"alarm": f"wechat-{errcode}"} if errcode in _ALARMS else {}
            log.log(
                logging.ERROR if alarm else logging.WARNING,
                "wechat refused %s: errcode %s rid %s",
                path,
                errcode,
                rid[1] if rid else "-",
                extra=alarm,
            )
        return answer


def _errcode(answer: Mapping[str, Any]) -> int:
    code = answer.get("errcode", 0)
    return code if isinstance(code, int) else 0
