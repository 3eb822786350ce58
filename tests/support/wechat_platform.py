"""A double of WeChat's platform with its real error bodies, on a loopback server."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.http_client import HttpClient
from chalicelib.wechat.client import WechatClient
from chalicelib.wechat.template_results import TemplateResult
from tests.support.http_server import Received, Reply, serving

APP_ID = "wx0123456789abcdef"
SECRET = "canary-app-secret-0123456789abcd"
OPENID = "oCanary-openid_6bmjrPTlm6"
CODE = "canary-oauth-code-081EdL"
TEMPLATE = "template-1"
SEND = "/cgi-bin/message/template/send"
STABLE = "/cgi-bin/stable_token"
EXCHANGE = "/sns/oauth2/access_token"
INFO = "/cgi-bin/user/info"
QR = "/cgi-bin/qrcode/create"
MENU = "/cgi-bin/menu/create"

# WeChat's own response bodies, each with the rid for its support.
RID = "rid: 64635211-1adf7efb-7b834cc4"
BUSY = {"errcode": -1, "errmsg": f"system error {RID}"}
SENT = {"errcode": 0, "errmsg": "ok", "msgid": 3_001_234_567_890_123_456}
STALE = {
    "errcode": 40001,
    "errmsg": "invalid credential, access_token is invalid or not latest, could get access_token "
    f"by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r {RID}",
}


def refusal(errcode: int, words: str = "refused") -> dict[str, Any]:
    """Return an error body as WeChat sends it, with status 200; its text may quote the openid."""
    return {"errcode": errcode, "errmsg": f"{words} hint: [{OPENID}] {RID}"}


def ok(body: Any) -> Reply:
    """Return a body with status 200, which WeChat's refusals have, too."""
    return 200, json.dumps(body).encode()


@dataclass
class WeChat:
    """The platform: its responses by path, used in order, the last one repeatedly."""

    url: str = ""
    answers: dict[str, list[Any]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    tokens: int = 0

    def reply(self, request: Received) -> Reply:
        path = urlsplit(request.path).path
        if path == STABLE and path not in self.answers:
            self.tokens += 1
            return ok({"access_token": f"canary-token-{self.tokens}", "expires_in": 7200})
        bodies = self.answers[path]
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        if callable(body):
            body = body()
        said: Reply = body if body is None or isinstance(body, tuple) else ok(body)
        return said

    def asked(self, path: str) -> list[Received]:
        """Return the requests to one interface."""
        return [one for one in self.received if urlsplit(one.path).path == path]


class Tokens:
    """A token store of one process, whose tokens do not expire."""

    def __init__(self, token: str = "") -> None:
        self.token = token

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        if not self.token or self.token == stale:
            self.token, _ = fetch()
        return self.token


@dataclass
class Clock:
    """A clock that advances only by sleeping."""

    time: float = 1_800_000_000
    slept: list[float] = field(default_factory=list)
    pace: float = 1

    def __call__(self) -> int:
        return int(self.time)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds * self.pace


@contextmanager
def playing() -> Iterator[WeChat]:
    """Run the platform until the block ends."""
    wechat = WeChat()
    with serving(wechat.reply) as server:
        wechat.url, wechat.received = server.url, server.received
        yield wechat


def platform_at(
    url: str, clock: Clock, client: HttpClient | None = None, *, token: str = ""
) -> WechatClient:
    """Return a client of the platform at `url` that holds this access token."""
    return WechatClient(
        APP_ID,
        SECRET,
        url,
        "https://open.weixin.qq.com",
        Tokens(token),
        client or HttpClient(),
        clock,
        clock.sleep,
    )


def send(platform: WechatClient) -> TemplateResult:
    """Push a message whose values are not ASCII."""
    return platform.send_template(
        OPENID,
        TEMPLATE,
        {"thing3": "5分钟内有效", "character_string1": "11010148_cw"},
        url="https://recovery.example/wechat/enter",
        client_msg_id="m1",
    )


CALLS: dict[str, Callable[[WechatClient], Any]] = {
    EXCHANGE: lambda platform: platform.exchange(CODE),
    SEND: send,
    QR: lambda platform: platform.follow_qr("11010148.abc", 1800),
    INFO: lambda platform: platform.is_following(OPENID),
    MENU: lambda platform: platform.create_menu({"button": [{"name": "找回密码"}]}),
}


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the alarms raised, in order; assert that each is an error."""
    raised = [record for record in caplog.records if hasattr(record, "alarm")]
    assert {record.levelno for record in raised} <= {logging.ERROR}
    return [record.alarm for record in raised]


@pytest.fixture
def wechat_clock() -> Clock:
    """The clock of `wechat_client`."""
    return Clock()


@pytest.fixture
def wechat_platform() -> Iterator[WeChat]:
    """The platform that `wechat_client` calls."""
    with playing() as wechat:
        yield wechat


@pytest.fixture
def wechat_client(wechat_platform: WeChat, wechat_clock: Clock) -> WechatClient:
    """A client of `wechat_platform`, with `wechat_clock` as its clock."""
    return platform_at(wechat_platform.url, wechat_clock)
