"""WeChat's HTTP interfaces (`/cgi-bin/…`, `/sns/…`).

Source of paths, fields and error codes: WeChat Official Account guide, the page of each interface.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.wrappers import Request

from .account import Account, Template
from .errors import refusal
from .grants import AccessTokens, OAuthCodes

Body = dict[str, Any]

_QR_DEFAULT, _QR_MAXIMUM = 60, 2_592_000

# Types of template values (模板内容参数类型) and their patterns.
_VALUES = {
    "thing": re.compile(r".{1,20}", re.DOTALL),
    "character_string": re.compile(r"[!-~ ]{1,32}", re.ASCII),
    "time": re.compile(r"(\d{4}年\d{1,2}月\d{1,2}日 ?)?(\d{1,2}:\d{2}(:\d{2})?)?"),
}


class Refusal(Exception):
    """An interface refuses the request with WeChat's error code."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(str(errcode))
        self.errcode = errcode
        self.detail = detail


class Interfaces:
    """The server side of the platform's HTTP interfaces."""

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        account: Account,
        templates: Mapping[str, Template],
        tokens: AccessTokens,
        codes: OAuthCodes,
        clock: Callable[[], int],
        sent: Callable[[str, int], None],
    ) -> None:
        """`sent` is called with the openid and the id of each new template message."""
        self._app_id = app_id
        self._app_secret = app_secret
        self._account = account
        self._templates = templates
        self._tokens = tokens
        self._codes = codes
        self._clock = clock
        self._sent = sent
        self._message_ids = itertools.count(int(time.time() * 1000) * 1000)
        self._guard = threading.Lock()
        self._repeats: dict[tuple[str, str], tuple[int, int]] = {}
        self._table: dict[str, tuple[str, Callable[[Request], Body]]] = {
            "/sns/oauth2/access_token": ("GET", self._exchange),
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/user/info": ("GET", self._user_info),
            "/cgi-bin/message/template/send": ("POST", self._send_template),
            "/cgi-bin/qrcode/create": ("POST", self._create_qr_code),
            "/cgi-bin/menu/create": ("POST", self._create_menu),
            "/cgi-bin/menu/get": ("GET", self._get_menu),
        }

    def answer(self, request: Request) -> Body:
        """Return WeChat's JSON for a request; errors too, which WeChat sends with status 200."""
        method, interface = self._table.get(request.path, ("", None))
        if interface is None:
            return refusal(40066)
        if method == "POST" and request.method != "POST":
            return refusal(43002)
        try:
            if request.path.startswith("/cgi-bin/") and interface != self._stable_token:
                errcode = self._tokens.refusal(request.args.get("access_token"))
                if errcode:
                    raise Refusal(errcode)
            return interface(request)
        except Refusal as refused:
            return refusal(refused.errcode, refused.detail)

    def _exchange(self, request: Request) -> Body:
        query = request.args
        self._check_app(query.get("appid"), query.get("secret"))
        if query.get("grant_type") != "authorization_code":
            raise Refusal(40002)
        grant = self._codes.redeem(query.get("code", ""))
        if isinstance(grant, int):
            raise Refusal(grant)
        return {
            "access_token": "of-the-person-and-of-no-use-here",
            "expires_in": 7200,
            "refresh_token": "of-no-use-here-either",
            "openid": grant.openid,
            "scope": "snsapi_base",
            # WeChat omits the field for a person.
            **({"is_snapshotuser": 1} if grant.snapshot else {}),
        }

    def _stable_token(self, request: Request) -> Body:
        body = _json(request)
        if body.get("grant_type") != "client_credential":
            raise Refusal(40002)
        self._check_app(body.get("appid"), body.get("secret"))
        token, left = self._tokens.get(body.get("force_refresh") is True)
        return {"access_token": token, "expires_in": left}

    def _check_app(self, app_id: Any, secret: Any) -> None:
        if app_id != self._app_id:
            raise Refusal(40013)
        if secret != self._app_secret:
            raise Refusal(40125)

    def _user_info(self, request: Request) -> Body:
        openid = request.args.get("openid", "")
        if not openid:
            raise Refusal(40003)
        follower = self._account.follower(openid)
        if follower is None:
            return {"subscribe": 0, "openid": openid, "tagid_list": []}
        return {
            "subscribe": 1,
            "openid": openid,
            "language": "zh_CN",
            "subscribe_time": follower.since,
            "remark": "",
            "groupid": 0,
            "tagid_list": [],
            "subscribe_scene": "ADD_SCENE_QR_CODE" if follower.scene else "ADD_SCENE_SEARCH",
            "qr_scene": 0,
            "qr_scene_str": follower.scene,
        }

    def _send_template(self, request: Request) -> Body:
        body = _json(request)
        openid, template = body.get("touser"), self._templates.get(str(body.get("template_id")))
        if not isinstance(openid, str) or not openid:
            raise Refusal(40003)
        if template is None:
            raise Refusal(40037)
        if self._account.follower(openid) is None:
            raise Refusal(43004)
        fields = tuple(
            (label, _template_value(body.get("data"), name)) for label, name in template.lines()
        )
        message_id, first = self._once(openid, body.get("client_msg_id"))
        if first:
            url = str(body.get("url", ""))
            self._account.write(openid, self._clock(), "card", template.title, fields, url)
            self._sent(openid, message_id)
        return {"errcode": 0, "errmsg": "ok", "msgid": message_id}

    def _once(self, openid: str, client_msg_id: Any) -> tuple[int, bool]:
        # WeChat ignores a repeated client_msg_id for ten minutes.
        with self._guard:
            now = self._clock()
            key = (openid, str(client_msg_id))
            known, at = self._repeats.get(key, (0, 0))
            if client_msg_id and known and now - at < 600:
                return known, False
            self._repeats = {old: at for old, at in self._repeats.items() if now - at[1] < 600}
            message_id = next(self._message_ids)
            self._repeats[key] = (message_id, now)
            return message_id, True

    def _create_qr_code(self, request: Request) -> Body:
        body = _json(request)
        lasting = body.get("action_name") == "QR_LIMIT_STR_SCENE"
        if not lasting and body.get("action_name") != "QR_STR_SCENE":
            raise Refusal(40053)
        try:
            scene = body["action_info"]["scene"]["scene_str"]
        except (KeyError, TypeError):
            raise Refusal(40053) from None
        seconds = body.get("expire_seconds", _QR_DEFAULT)
        if not isinstance(scene, str) or not 1 <= len(scene) <= 64 or not isinstance(seconds, int):
            raise Refusal(40053)
        seconds = max(1, min(seconds, _QR_MAXIMUM))
        ticket = self._account.draw(scene, self._clock() + (10**9 if lasting else seconds))
        answer = {"ticket": ticket.ticket, "url": ticket.url}
        return answer if lasting else {**answer, "expire_seconds": seconds}

    def _create_menu(self, request: Request) -> Body:
        menu = _json(request)
        buttons = menu.get("button")
        if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
            raise Refusal(40016)
        for button in buttons:
            _check_button(button, 16)
            for item in button.get("sub_button", []):
                _check_button(item, 60)
        self._account.menu = menu
        return {"errcode": 0, "errmsg": "ok"}

    def _get_menu(self, _: Request) -> Body:
        if self._account.menu is None:
            raise Refusal(46003)
        return {"menu": dict(self._account.menu)}


def _json(request: Request) -> Body:
    # WeChat does not decode \u escapes but shows them to people.
    literal = re.sub(rb"\\u(?=[0-9a-fA-F]{4})", rb"\\\\u", request.get_data())
    try:
        body = json.loads(literal)
    except ValueError:
        raise Refusal(47001) from None
    if not isinstance(body, dict):
        raise Refusal(47001)
    return body


def _template_value(data: Any, name: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    text = value.get("value") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        raise Refusal(47003, f"data.{name}.value is empty")
    rule = _VALUES.get(name.rstrip("0123456789"))
    if rule is not None and not rule.fullmatch(text):
        raise Refusal(47003, f"data.{name}.value invalid")
    return text


def _check_button(button: Any, bytes_at_most: int) -> None:
    name = button.get("name") if isinstance(button, dict) else None
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= bytes_at_most:
        raise Refusal(40018)
