"""Client of WeChat's platform: OAuth, template messages, QR codes, the menu.

Source: the Official Account guide's page of each interface, and its page of global return codes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from ..domain.errors import Unavailable
from ..http_client import HttpClient
from . import api
from .api import NoAnswer
from .template_results import TemplateOutcome, TemplateResult

log = logging.getLogger(__name__)

PATIENCE = 7
"""Seconds that a call may last with all retries; the functions' time-out is 10 s."""

_BUSY = -1
_BUSY_PAUSES = (0.3, 0.6)

_INVALID_OPENID = 40003
# The token is invalid or expired.
_STALE_TOKEN = frozenset({40001, 40014, 42001})
# Operators must act: quota, address not whitelisted, no permission, wrong template or fields.
_ALARMS = frozenset({45009, 40164, 48001, 40037, 47003})
# Invalid, used, missing, expired, or of a blocked person: a retry cannot succeed.
_CODE_REFUSED = frozenset({40029, 40163, 41008, 42003, 40226})

# At this interface 40001 means a wrong AppSecret, so each of its errors needs an operator.
_TOKEN_PATH = "/cgi-bin/stable_token"  # noqa: S105 - a path

_RID = re.compile(r"\b(?:rid|req_id): ?([0-9A-Za-z_-]{4,64})", re.ASCII)
_OPENID = re.compile(r"[!-~]{1,128}", re.ASCII)


class OAuthRefused(Exception):
    """WeChat refuses the OAuth code; the person must start OAuth again."""


class PlatformRefusal(Exception):
    """An error response of WeChat; the cause of an Unavailable.

    `rid` is the request id that WeChat's support requires, or None.
    """

    def __init__(self, errcode: int, rid: str | None) -> None:
        super().__init__(f"errcode {errcode} rid {rid or '-'}")
        self.errcode = errcode
        self.rid = rid


_OUTCOMES = {
    0: TemplateOutcome.SENT,
    43004: TemplateOutcome.NOT_FOLLOWING,
    _INVALID_OPENID: TemplateOutcome.REFUSED,
    43019: TemplateOutcome.REFUSED,
    43101: TemplateOutcome.REFUSED,
    43117: TemplateOutcome.REFUSED,
}


class TokenStore(Protocol):
    """Store of the access token, shared by all instances."""

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """Return the shared token; `fetch` requests a new one with its lifetime in seconds.

        `stale` is a token that the platform has refused, so that another one is required.
        """
        ...


class WechatClient:
    """Calls WeChat's interfaces.

    Raises Unavailable("wechat") where a call fails; its cause is a PlatformRefusal where WeChat
    responded with an error.
    """

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        api_url: str,
        open_url: str,
        tokens: TokenStore,
        client: HttpClient,
        clock: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        """`api_url` may be that of a proxy. Both URLs have no slash at the end.

        `clock` counts seconds, `sleep` waits for a number of seconds.
        """
        self._app_id = app_id
        self._app_secret = app_secret
        self._api_url = api_url
        self._open_url = open_url
        self._tokens = tokens
        self._client = client
        self._clock = clock
        self._sleep = sleep

    def authorize_url(self, redirect_uri: str, state: str) -> str:
        """Return the URL of an OAuth authorization without a prompt, for WeChat's browser.

        `state` has at most 128 letters and digits.
        """
        # WeChat requires this order of the parameters, and the fragment.
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

    def exchange(self, code: str) -> str | None:
        """Exchange an OAuth code, which is valid once, for the openid. Raises OAuthRefused.

        None for a page that WeChat shows as a snapshot (快照页模式): `is_snapshotuser` is 1, and the
        openid is that of a virtual account, not of the person.
        """
        query = {
            "appid": self._app_id,
            "secret": self._app_secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        answer = self._available(
            lambda: self._request("/sns/oauth2/access_token", query, None, self._time_left())
        )
        if _errcode(answer) in _CODE_REFUSED:
            raise OAuthRefused
        openid = answer.get("openid")
        _raise_refusal(answer)
        # WeChat omits the field for a person. Any other value is not trusted to mean one.
        if answer.get("is_snapshotuser") not in (None, 0, "0", ""):
            return None
        if not isinstance(openid, str) or not _OPENID.fullmatch(openid):
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
        """Push a template message; WeChat ignores a repeated `client_msg_id` for ten minutes.

        Raises Unavailable where it was certainly not sent and WeChat is unavailable.
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
            answer = self._with_token("/cgi-bin/message/template/send", {}, body)
        except NoAnswer as error:
            if error.arrived:
                return TemplateResult(TemplateOutcome.UNKNOWN)
            raise Unavailable("wechat") from None
        except Unavailable as error:
            # WeChat refuses a token to this account or address; the caller can use another way.
            if isinstance(error.__cause__, PlatformRefusal):
                return TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=error.__cause__.errcode)
            raise
        errcode = answer.get("errcode")
        if errcode is None:
            return TemplateResult(TemplateOutcome.UNKNOWN)
        if errcode == _BUSY:
            raise Unavailable("wechat")
        if errcode == 0:
            # WeChat also responds with a msgid of 0, which identifies no message.
            msgid = answer.get("msgid")
            return TemplateResult(TemplateOutcome.SENT, str(msgid) if msgid else None)
        return TemplateResult(_OUTCOMES.get(errcode, TemplateOutcome.NO_TEMPLATE), errcode=errcode)

    def follow_qr(self, scene: str, lifetime_s: int) -> str:
        """Return the content of a QR code of the account, with a scene of 1 to 64 characters.

        It expires after `lifetime_s` seconds, at most 30 days.
        """
        body = {
            "expire_seconds": lifetime_s,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        url = self._call("/cgi-bin/qrcode/create", {}, body).get("url")
        if not isinstance(url, str) or not url:
            raise Unavailable("wechat")
        return url

    def is_following(self, openid: str, patience: float = PATIENCE) -> bool:
        """Return whether the openid follows the account; False for one of another account.

        `patience` is the time that the call may last, in seconds.
        """
        query = {"openid": openid, "lang": "zh_CN"}
        answer = self._available(
            lambda: self._with_token("/cgi-bin/user/info", query, None, patience)
        )
        if _errcode(answer) == _INVALID_OPENID:
            return False
        _raise_refusal(answer)
        if answer.get("subscribe") not in (0, 1):
            raise Unavailable("wechat")
        return bool(answer["subscribe"])

    def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Replace the account's menu."""
        self._call("/cgi-bin/menu/create", {}, menu)

    def _call(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        answer = self._available(lambda: self._with_token(path, query, body))
        _raise_refusal(answer)
        return answer

    @staticmethod
    def _available(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except NoAnswer:
            raise Unavailable("wechat") from None

    def _time_left(self, patience: float = PATIENCE) -> Callable[[], float]:
        end = self._clock() + patience
        return lambda: end - self._clock()

    def _with_token(
        self,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        left = self._time_left(patience)
        stale: str | None = None
        while True:
            token = self._tokens.get(lambda: self._fetch_token(left), stale)
            answer = self._request(path, {**query, "access_token": token}, body, left)
            if _errcode(answer) not in _STALE_TOKEN:
                return answer
            if stale is not None:
                # A new token is refused too, so the cause is another one and every call fails.
                _report(path, answer, alarm=True)
                return answer
            stale = token

    def _fetch_token(self, left: Callable[[], float]) -> tuple[str, int]:
        # Without force_refresh every request returns the same token until five minutes before its
        # expiry, then a new one while the old one stays valid. So concurrent requests are harmless.
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": False,
        }
        answer = self._available(lambda: self._request(_TOKEN_PATH, {}, body, left))
        _raise_refusal(answer)
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or type(lifetime) is not int or lifetime <= 0:
            raise Unavailable("wechat")
        return token, lifetime

    def _request(
        self,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        left: Callable[[], float],
    ) -> dict[str, Any]:
        pauses = iter(_BUSY_PAUSES)
        while True:
            answer = api.request(self._client, self._api_url, path, query, body, left)
            if _errcode(answer):
                _report(path, answer)
            pause = next(pauses, None) if _errcode(answer) == _BUSY else None
            if pause is None:
                return answer
            self._sleep(pause)


def _errcode(answer: Mapping[str, Any]) -> int:
    return int(answer.get("errcode", 0))


def _raise_refusal(answer: Mapping[str, Any]) -> None:
    """Raise Unavailable for an error code; for -1, which means busy, without a PlatformRefusal."""
    errcode = _errcode(answer)
    if errcode == _BUSY:
        raise Unavailable("wechat")
    if errcode:
        raise Unavailable("wechat") from PlatformRefusal(errcode, _rid(answer))


def _rid(answer: Mapping[str, Any]) -> str | None:
    # `errmsg` may quote the openid, so only the request id is used.
    match = _RID.search(str(answer.get("errmsg", "")))
    return match[1] if match else None


def _report(path: str, answer: Mapping[str, Any], *, alarm: bool = False) -> None:
    errcode = _errcode(answer)
    is_alarm = alarm or errcode in _ALARMS or (path == _TOKEN_PATH and errcode != _BUSY)
    log.log(
        logging.ERROR if is_alarm else logging.WARNING,
        "wechat refused %s: errcode %s rid %s",
        path,
        errcode,
        _rid(answer) or "-",
        extra={"alarm": f"wechat-{errcode}"} if is_alarm else {},
    )
