"""The WeChat simulator of the local stack, with wechatpy as the account's server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import to_text
from werkzeug.wrappers import Request, Response

from chalicelib.http_client import HttpClient
from chalicelib.wechat.client import WechatClient
from infra.local.serving import Simulator
from infra.local.wechat import SimulatedWeChat
from tests.support.wechat_platform import Tokens

APP_ID = "wx0123456789abcdef"
SECRET = "w" * 32
TOKEN = "callbacktoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ALICE, BOB = "oAlice", "oBob"
FIELDS = {
    "character_string1": "11010148_cw",
    "character_string2": "123456",
    "thing3": "5分钟内有效",
}


class Service(Simulator):
    """The account's server, built on wechatpy; `reply` returns the reply to a message."""

    def __init__(self) -> None:
        super().__init__()
        self.crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
        self.messages: list[Any] = []
        self.queries: list[dict[str, str]] = []
        self.reply: Callable[[Any], str | Response] = lambda message: "好"

    def answer(self, request: Request) -> Response:
        query = request.args.to_dict()
        assert query["encrypt_type"] == "aes"
        inner = self.crypto.decrypt_message(
            request.get_data(), query["msg_signature"], query["timestamp"], query["nonce"]
        )
        message = parse_message(inner)
        assert message.source == query["openid"]
        self.messages.append(message)
        self.queries.append(query)
        said = self.reply(message)
        if isinstance(said, Response):
            return said
        if not said:
            return Response("success")
        xml = create_reply(said, message=message).render()
        sealed = self.crypto.encrypt_message(xml, query["nonce"], query["timestamp"])
        return Response(to_text(sealed), content_type="application/xml")


@dataclass
class Clock:
    time: int = field(default_factory=lambda: int(time.time()))

    def __call__(self) -> int:
        return self.time


@dataclass
class LocalWechat:
    service: Service
    wechat: SimulatedWeChat
    platform: WechatClient
    clock: Clock

    def call(self, path: str, body: bytes | None = None, **query: str) -> dict[str, Any]:
        """Send one plain request to an interface and return its parsed response."""
        method = "GET" if body is None else "POST"
        answer = requests.request(
            method, self.wechat.url + path, params=query, data=body, timeout=60
        )
        assert answer.status_code == 200
        return dict(answer.json())

    def token(self) -> str:
        return self.wechat.tokens.get(False)[0]

    def chat(self, openid: str = ALICE) -> list[tuple[str, str]]:
        return [(entry.kind, entry.text) for entry in self.wechat.account.chat(openid)]


@pytest.fixture
def local_wechat() -> Iterator[LocalWechat]:
    clock = Clock()
    with (
        Service() as service,
        SimulatedWeChat(
            APP_ID,
            SECRET,
            TOKEN,
            AES_KEY,
            callback_url=lambda: service.url + "/wechat/callback",
            visitor=lambda hints: hints.get("_phone", ALICE),
            site=lambda: frozenset(["https://recovery.example"]),
            clock=clock,
            limit=60,
            receipt_delay=0.01,
        ) as wechat,
    ):
        platform = WechatClient(
            APP_ID, SECRET, wechat.url, wechat.url, Tokens(), HttpClient(), clock, lambda _: None
        )
        yield LocalWechat(service, wechat, platform, clock)
