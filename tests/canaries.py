"""Secrets that are easy to find again, and surroundings that quote every secret they get hold of."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.endpoint
import chalice.app
import pytest
import requests.adapters
from chalice.test import HTTPResponse

from chalicelib.doors import cookies
from chalicelib.keys.passwords import PasswordHasher
from chalicelib.store.models import CodeItem, LoginItem
from chalicelib.telemetry import invocation
from infra.ops import __main__ as commands
from tests.callbacks import post, signed
from tests.conftest import World
from tests.reset_world import ResetWorld
from tests.wechat_platform import EXCHANGE, INFO, MENU, QR, SEND, SENT, STABLE, WeChat, ok

PASSWORD = "Canary-horse-7!q"
WRONG = "Canary wrong\\8?é"
OPENING = "Canary-opening-5"
CODE = "736251"
PHONE = "13912345678"
NEW_PHONE = "13812349876"
LAST4 = "987X"
DEFAULT = "010987X"
ID_NUMBER = "11010119900307987X"
OPENID = "oCanary0123456789abcdefghijk"
ACCESS_TOKEN = "91_CanaryAccessToken0123456789-abcdefghijklmnopqrstuvwxyz_" + "Ab9" * 26
OAUTH_CODE = "081EdLCanary2c0Hx1Q3s1PdMp0081EdC"
RECEIPTS = "Canary-receipts-0123456789abcdef"

KEYS = {
    "SIGNING_KEYS": "canary signing key of thirty-two signs",
    "CODE_PEPPER": "canary pepper of thirty-two signs",
    "WECHAT_APP_SECRET": "canaryappsecret0123456789abcdef0",
    "WECHAT_TOKEN": "canaryCallbackToken",
    "WECHAT_AES_KEY": "CanaryAesKey0123456789abcdefghijklmnopqrstu",
    "SMS_HTTP_SECRET": "canary sms secret",
    "SMS_ALIYUN_KEY_SECRET": "canary aliyun secret",
    "SMS_TENCENT_KEY_SECRET": "canary tencent secret",
    "RECEIPTS_PATH": RECEIPTS,
}

SETTINGS = {
    **KEYS,
    "SMS_GATEWAYS": "http",
    "SMS_ALIYUN_KEY_ID": "id",
    "SMS_ALIYUN_TEMPLATES": "code=SMS_1",
    "SMS_TENCENT_KEY_ID": "id",
    "SMS_TENCENT_APP_ID": "1400000001",
    "SMS_TENCENT_TEMPLATES": "code=7",
    "SMS_SNS_REGION": "us-east-1",
    "WECHAT_NOTICE_TEMPLATE_ID": "notice",
    "LIMIT_SENDS_PER_DESTINATION_MINUTE": "1000",
    "LIMIT_SENDS_PER_DESTINATION_HOUR": "1000",
    "LIMIT_SENDS_PER_DESTINATION_DAY": "1000",
    "LIMIT_SENDS_PER_LOGIN_DAY": "1000",
    "LIMIT_WRONG_CODES_PER_LOGIN_DAY": "1000",
    "LIMIT_WRONG_DETAILS_PER_LOGIN_DAY": "1000",
    "LIMIT_WRONG_PASSWORDS_PER_LOGIN_HALF_HOUR": "1000",
}

FOUND_ANYWHERE = {
    "password": PASSWORD,
    "wrong password": WRONG,
    "opening password": OPENING,
    "phone": PHONE,
    "new phone": NEW_PHONE,
    "identity number": ID_NUMBER,
    "openid": OPENID,
    "access token": ACCESS_TOKEN,
    "oauth code": OAUTH_CODE,
    **KEYS,
}
# Short ones; within a longer number they are somebody else's.
WORDS = {"code": CODE, "end of the identity number": LAST4, "default password": DEFAULT}


def answer_kindly(wechat: WeChat) -> None:
    """Let the platform grant everything."""
    wechat.answers = {
        STABLE: [lambda: ok({"access_token": ACCESS_TOKEN, "expires_in": 7200})],
        EXCHANGE: [{"access_token": ACCESS_TOKEN, "expires_in": 7200, "openid": OPENID}],
        SEND: [SENT],
        INFO: [{"subscribe": 1, "openid": OPENID}],
        QR: [{"url": "http://weixin.qq.com/q/0", "ticket": "t", "expire_seconds": 60}],
        MENU: [{"errcode": 0, "errmsg": "ok"}],
    }


log = logging.getLogger("hostile")


@dataclass
class Hostile:
    """Libraries that write down all that passes through them; or that fail, at the call of this
    number, with all of it in their exception's words."""

    fails_at: int = 0
    calls: int = 0
    calm: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the call is past at which they fail."""
        return 0 < self.fails_at <= self.calls

    def quote(self, what: str) -> None:
        """Write it down."""
        if not self.calm and not self.fails_at:
            log.error("passing %s", what, extra={"passing": {"text": [what]}})

    def meet(self, what: str) -> None:
        """Write down what goes out, and fail where it is time to."""
        if self.calm:
            return
        self.quote(what)
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError(f"cannot do {what}")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take hold of AWS's client, of HTTP in and out, and of hashing."""
        answer = chalice.app.RestAPIEventHandler._main_rest_api_handler
        ask, post = botocore.endpoint.Endpoint.make_request, requests.adapters.HTTPAdapter.send

        def make_request(endpoint: Any, operation: Any, request: Any) -> Any:
            self.meet(f"{operation.name} {request}")
            http, parsed = ask(endpoint, operation, request)
            self.quote(f"{parsed}")
            return http, parsed

        def send(adapter: Any, request: Any, **how: Any) -> Any:
            body = request.body.getvalue() if isinstance(request.body, io.BytesIO) else request.body
            self.meet(f"{request.method} {request.url} {request.headers} {body!r}")
            return post(adapter, request, **how)

        def handle(handler: Any, event: Any, context: Any) -> Any:
            self.quote(f"{event}")
            return answer(handler, event, context)

        monkeypatch.setattr(chalice.app.RestAPIEventHandler, "_main_rest_api_handler", handle)
        monkeypatch.setattr(botocore.endpoint.Endpoint, "make_request", make_request)
        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
        for name in ("hash", "verify"):
            monkeypatch.setattr(PasswordHasher, name, self._hashing(getattr(PasswordHasher, name)))

    def _hashing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def hashing(hasher: PasswordHasher, *given: str) -> Any:
            # Outside of a call nobody can know a password from another word, so that there no
            # line must speak of it in the first place; a failure may still quote it.
            calm, self.calm = self.calm, self.calm or invocation.current() is None
            self.quote(f"hashing {given}")
            self.calm = calm
            if not self.calm:
                self.calls += 1
                if self.calls == self.fails_at:
                    raise RuntimeError(f"cannot hash {given}")
            return original(hasher, *given)

        return hashing


class Enough(Exception):
    """The story has shown what follows from a failure; the rest of it is told by other runs."""


@dataclass
class Stage:
    """A world among hostile libraries; `said` is what else than lines and figures comes out of it."""

    reset: ResetWorld
    hostile: Hostile
    folder: Path
    said: list[str] = field(default_factory=list)
    learnt: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.reset.world

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let the libraries be quiet while something is prepared."""
        self.hostile.calm = True
        try:
            yield
        finally:
            self.hostile.calm = False

    def prepare(self, openid: str | None) -> None:
        """Bring the firm back to where it was before any story, bound to this WeChat or to none."""
        with self.calm():
            self.world.clock.time += 3_600
            bound = LoginItem.openid.remove() if openid is None else LoginItem.openid.set(openid)
            for login in ("11010148", "11010148_cw"):
                LoginItem(login).update([bound, LoginItem.head_id_last4.set(LAST4)])
                CodeItem(f"code#{login}").delete()

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> HTTPResponse:
        """One HTTP call; the token that it gives and the cookies on either way are secrets too."""
        self._go_on()
        answer = self.world.call(method, path, body, **more)
        given = answer.headers.get("Set-Cookie", more.get("headers", {}).get("Cookie", ""))
        if given:
            self.learnt["cookie"] = given.partition(";")[0].partition("=")[2]
        if answer.status_code == 201:
            self.learnt["token"] = answer.json_body["token"]
        elif answer.status_code >= 400:
            self.said.append(answer.body.decode())
        return answer

    def _go_on(self) -> None:
        if self.hostile.has_failed:
            raise Enough

    def wechat(self, fields: dict[str, object]) -> None:
        """A message or an event of the person's comes from WeChat."""
        self._go_on()
        post(self.world, signed(self.world, fields, OPENID))

    def start(self, openid: str | None = OPENID) -> str:
        """The token of a new recovery; of none where that fails."""
        body = {"user_type": "firm", "login": "11010148"}
        kept = cookies.keep_visitor(self.world.service, openid) if openid else ""
        headers = {"Cookie": kept.partition(";")[0]}
        answer = self.call("POST", "/recovery", body, headers=headers)
        return str(answer.json_body.get("token", "")) if answer.status_code == 201 else ""

    def step(self, path: str, body: dict[str, str], token: str) -> HTTPResponse:
        """One step of a recovery."""
        return self.call("POST", f"/recovery/{path}", body, token=token)

    def function(self, call: Callable[[], object]) -> None:
        """Call a function as Lambda does, which writes down what it fails by."""
        self._go_on()
        try:
            call()
        except Exception as error:
            self.said += traceback.format_exception_only(error)

    def operate(self, *arguments: str) -> None:
        """Run an operator's command; all that it prints is kept."""
        self._go_on()
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            commands.main(arguments)
        self.said.append(out.getvalue())

    def shown(self, text: str) -> set[str]:
        """The names of the secrets that a text shows, in whatever spelling."""
        secrets = {**FOUND_ANYWHERE, **self.learnt}
        found = {name for name, value in secrets.items() if any(s in text for s in spelt(value))}
        bare = _ESCAPES.sub(" ", text)
        return found | {
            name for name, value in WORDS.items() if re.search(rf"(?<![0-9]){value}(?![0-9])", bare)
        }


_ESCAPES = re.compile(r"%[0-9A-Fa-f]{2}|\\+x[0-9A-Fa-f]{2}|\\+u[0-9A-Fa-f]{4}")


def spelt(secret: str) -> set[str]:
    """As it is, in a repr, in JSON once and twice, and in an address."""
    forms = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], quote(secret, safe="")}
    return forms | {form.replace("\\", "\\\\") for form in forms}


started: list[str] = []
"""The arguments of each process that was started while `listening`."""

listening: list[bool] = []


def _hear(event: str, arguments: Any) -> None:
    if listening and event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        started.append(repr(arguments))


# An audit hook cannot be taken away again, so that it only hears while it is asked to.
sys.addaudithook(_hear)
