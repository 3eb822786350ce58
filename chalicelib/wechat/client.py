"""The one client of WeChat's platform: OAuth, template messages, QR codes, the menu.

Interfaces and error codes: the Official Account guide's page of each interface, and its page of
global return codes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from ..domain.errors import Unavailable
from ..http_client import HttpClient
from . import api
from .api import NoAnswer

log = logging.getLogger(__name__)

PATIENCE = 7
"""Seconds that one call may take with all its repeats; the functions' own time-out is 10 s."""

_BUSY = -1
_BUSY_PAUSES = (0.3, 0.6)

_INVALID_OPENID = 40003
# The token is not, or no longer, the account's.
_STALE_TOKEN = frozenset({40001, 40014, 42001})
# Somebody must act: quota, address not on the whitelist, no permission, template or its fields wrong.
_ALARMS = frozenset({45009, 40164, 48001, 40037, 47003})
# Invalid, used, missing, expired, or its person blocked: the same code is of no use again.
_CODE_REFUSED = frozenset({40029, 40163, 41008, 42003, 40226})

# 40001 there means that the AppSecret is wrong, so no code of this interface mends itself.
_TOKEN_PATH = "/cgi-bin/stable_token"  # noqa: S105 - a path

_RID = re.compile(r"\b(?:rid|req_id): ?([0-9A-Za-z_-]{4,64})", re.ASCII)
_OPENID = re.compile(r"[!-~]{1,128}", re.ASCII)


class OAuthRefused(Exception):
    """WeChat does not take the code; the person enters anew."""


class PlatformRefusal(Exception):
    """WeChat's answer that it will not do as asked; the cause of an Unavailable, where there is one.

    `rid` is what WeChat's support asks for, None where it gave none.
    """

    def __init__(self, errcode: int, rid: str | None) -> None:
        super().__init__(f"errcode {errcode} rid {rid or '-'}")
        self.errcode = errcode
        self.rid = rid


class TemplateOutcome(StrEnum):
    """What became of a template message."""

    SENT = "sent"
    NOT_FOLLOWING = "not-following"
    NO_TEMPLATE = "no-template"
    """The account cannot push this now: no such template, no permission, quota used up."""
    REFUSED = "refused"
    """This person cannot be pushed to: declined, on the account's blacklist, or not its openid."""
    UNKNOWN = "unknown"
    """No answer in time: it may have been sent."""


_OUTCOMES = {
    0: TemplateOutcome.SENT,
    43004: TemplateOutcome.NOT_FOLLOWING,
    _INVALID_OPENID: TemplateOutcome.REFUSED,
    43019: TemplateOutcome.REFUSED,
    43101: TemplateOutcome.REFUSED,
    43117: TemplateOutcome.REFUSED,
}


class TemplateResult(NamedTuple):
    """`msgid` is the name by which the receipt (TEMPLATESENDJOBFINISH) calls the message."""

    outcome: TemplateOutcome
    msgid: str | None = None
    errcode: int | None = None


class TokenStore(Protocol):
    """Where all instances share the access token."""

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """The shared token; `fetch` asks the platform for a token and its lifetime in seconds.

        `stale` is a token that the platform has refused: a newer one is wanted.
        """
        ...


class WechatClient:
    """Calls to WeChat's servers. Raises Unavailable("wechat") where they do not do as asked; its
    cause is a PlatformRefusal where WeChat said why."""

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
        """`api_url` may be a forward proxy's; both addresses are without a slash at the end."""
        self._app_id = app_id
        self._app_secret = app_secret
        self._api_url = api_url
        self._open_url = open_url
        self._tokens = tokens
        self._client = client
        self._clock = clock
        self._sleep = sleep

    def authorize_url(self, redirect_uri: str, state: str) -> str:
        """Where a browser inside WeChat goes to be told who it is, without a question to the person.

        `state` is of up to 128 letters and digits.
        """
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
        answer = self._answered(
            lambda: self._patiently("/sns/oauth2/access_token", query, None, self._time_left())
        )
        if _errcode(answer) in _CODE_REFUSED:
            raise OAuthRefused
        openid = answer.get("openid")
        _refused(answer)
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
            answer = self._with_token("/cgi-bin/message/template/send", {}, body)
        except NoAnswer as silence:
            if silence.arrived:
                return TemplateResult(TemplateOutcome.UNKNOWN)
            raise Unavailable("wechat") from None
        except Unavailable as error:
            # No token to be had for this account or from this address: other roads may be open.
            if isinstance(error.__cause__, PlatformRefusal):
                return TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=error.__cause__.errcode)
            raise
        errcode = answer.get("errcode")
        if errcode is None:
            return TemplateResult(TemplateOutcome.UNKNOWN)
        if errcode == _BUSY:
            raise Unavailable("wechat")
        if errcode == 0:
            msgid = answer.get("msgid")
            return TemplateResult(TemplateOutcome.SENT, None if msgid is None else str(msgid))
        return TemplateResult(_OUTCOMES.get(errcode, TemplateOutcome.NO_TEMPLATE), errcode=errcode)

    def follow_qr(self, scene: str, lifetime_s: int) -> str:
        """What to draw as a QR code that leads to the account, with a scene of 1 to 64 characters.

        WeChat forgets it after `lifetime_s` seconds, 30 days at the most.
        """
        body = {
            "expire_seconds": lifetime_s,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        url = self._done("/cgi-bin/qrcode/create", {}, body).get("url")
        if not isinstance(url, str) or not url:
            raise Unavailable("wechat")
        return url

    def is_following(self, openid: str) -> bool:
        """Whether the openid follows the account now; one of another account does not."""
        query = {"openid": openid, "lang": "zh_CN"}
        answer = self._answered(lambda: self._with_token("/cgi-bin/user/info", query, None))
        if _errcode(answer) == _INVALID_OPENID:
            return False
        _refused(answer)
        if answer.get("subscribe") not in (0, 1):
            raise Unavailable("wechat")
        return bool(answer["subscribe"])

    def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Put a menu in place of the account's present one."""
        self._done("/cgi-bin/menu/create", {}, menu)

    def _done(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        answer = self._answered(lambda: self._with_token(path, query, body))
        _refused(answer)
        return answer

    @staticmethod
    def _answered(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except NoAnswer:
            raise Unavailable("wechat") from None

    def _time_left(self) -> Callable[[], float]:
        end = self._clock() + PATIENCE
        return lambda: end - self._clock()

    def _with_token(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        left = self._time_left()
        stale: str | None = None
        while True:
            token = self._tokens.get(lambda: self._fetch_token(left), stale)
            answer = self._patiently(path, {**query, "access_token": token}, body, left)
            if _errcode(answer) not in _STALE_TOKEN:
                return answer
            if stale is not None:
                # A new token refused as well: it is not the token's fault, and nothing works.
                _report(path, answer, alarm=True)
                return answer
            stale = token

    def _fetch_token(self, left: Callable[[], float]) -> tuple[str, int]:
        # Normal mode: whoever asks gets the same token, until five minutes before its end a new one
        # is given out, and then both are good. So two that ask at once do each other no harm.
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": False,
        }
        answer = self._answered(lambda: self._patiently(_TOKEN_PATH, {}, body, left))
        _refused(answer)
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or type(lifetime) is not int or lifetime <= 0:
            raise Unavailable("wechat")
        return token, lifetime

    def _patiently(
        self,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        left: Callable[[], float],
    ) -> dict[str, Any]:
        for pause in (*_BUSY_PAUSES, None):
            answer = api.request(self._client, self._api_url, path, query, body, left)
            if _errcode(answer):
                _report(path, answer)
            if _errcode(answer) != _BUSY or pause is None:
                break
            self._sleep(pause)
        return answer


def _errcode(answer: Mapping[str, Any]) -> int:
    return int(answer.get("errcode", 0))


def _refused(answer: Mapping[str, Any]) -> None:
    """Raise Unavailable for an error code; -1 means that WeChat is busy, and refuses nothing."""
    errcode = _errcode(answer)
    if errcode == _BUSY:
        raise Unavailable("wechat")
    if errcode:
        raise Unavailable("wechat") from PlatformRefusal(errcode, _rid(answer))


def _rid(answer: Mapping[str, Any]) -> str | None:
    # The words of `errmsg` may quote the openid; `rid` is what WeChat's support asks for.
    found = _RID.search(str(answer.get("errmsg", "")))
    return found[1] if found else None


def _report(path: str, answer: Mapping[str, Any], *, alarm: bool = False) -> None:
    errcode = _errcode(answer)
    grave = alarm or errcode in _ALARMS or (path == _TOKEN_PATH and errcode != _BUSY)
    log.log(
        logging.ERROR if grave else logging.WARNING,
        "wechat refused %s: errcode %s rid %s",
        path,
        errcode,
        _rid(answer) or "-",
        extra={"alarm": f"wechat-{errcode}"} if grave else {},
    )
