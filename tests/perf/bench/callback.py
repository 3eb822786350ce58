"""WeChat's callback compared with wechatpy: encrypted event in, encrypted reply out, without the store."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.replies import create_reply

from app import app
from chalicelib import container
from chalicelib import runtime as process
from chalicelib.settings import load
from chalicelib.wechat import replies, signature
from chalicelib.wechat.messages import envelope, message
from tests.conftest import SETTINGS
from tests.package import runtime
from tests.support.callbacks import Signed, signed

SAID = "请点击菜单「找回密码」，或打开 https://recovery.example/wechat/enter"
_EVENT = {"MsgType": "event", "Event": "subscribe", "EventKey": ""}
BLOCK = 50


class _Conversation:
    """Answers at once, without a store."""

    def answer(self, _: object) -> str:
        return SAID


def event(delivery: Signed) -> dict[str, Any]:
    """Return API Gateway's event of a delivery."""
    query = parse_qs(delivery.query)
    made = runtime.api_event("POST", "/wechat/callback", Content_Type="text/xml")
    made["multiValueQueryStringParameters"] = query
    made["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
    made["body"] = delivery.body.decode()
    return made


def deliver(service: container.Service, fields: dict[str, str], openid: str, now: int) -> Signed:
    """Return a callback as WeChat's servers post it."""
    world: Any = SimpleNamespace(service=service, clock=SimpleNamespace(time=now))
    return signed(world, dict(fields), openid)


def measure(rounds: int) -> dict[str, Any]:
    """Return CPU of a callback in microseconds; the three alternate in blocks."""
    service = container.Service(load(SETTINGS))
    service.conversation = _Conversation()  # type: ignore[assignment]
    now = int(time.time())
    deliveries = [deliver(service, _EVENT, f"o-{number:026d}", now) for number in range(BLOCK)]
    given = [_Parsed(delivery) for delivery in deliveries]
    protocol = _protocol(service)
    peer = _wechatpy()
    context = SimpleNamespace(aws_request_id="request-1")
    events = [event(delivery) for delivery in deliveries]
    with process.using(service):
        first = (protocol(given[0]), peer(given[0]), app(events[0], context)["body"])
    for reply in first:
        if "<Encrypt>" not in reply:
            raise AssertionError(f"no sealed reply: {reply}")
    each: dict[str, Callable[[int], Any]] = {
        "protocol": lambda number: protocol(given[number]),
        "wechatpy": lambda number: peer(given[number]),
        "handler": lambda number: app(events[number], context),
    }
    with process.using(service):
        return _turns(each, rounds)


def _turns(each: dict[str, Callable[[int], Any]], rounds: int) -> dict[str, Any]:
    spent = dict.fromkeys(each, 0.0)
    # The first turn of each warms up and is not counted.
    for turn in range(rounds // BLOCK + 1):
        for name, call in each.items():
            before = time.process_time()
            for number in range(BLOCK):
                call(number)
            if turn:
                spent[name] += time.process_time() - before
    calls = rounds // BLOCK * BLOCK
    cpu = {f"{name}_cpu_us": round(took / calls * 1e6, 1) for name, took in spent.items()}
    return {
        "calls": calls,
        **cpu,
        "ratio": round(spent["protocol"] / spent["wechatpy"], 3),
        "handler_ratio": round(spent["handler"] / spent["wechatpy"], 3),
    }


class _Parsed:
    """A delivery whose query is read already."""

    def __init__(self, delivery: Signed) -> None:
        query = parse_qs(delivery.query)
        self.timestamp, self.nonce = query["timestamp"][0], query["nonce"][0]
        self.signature = query["msg_signature"][0]
        self.body = delivery.body


def _protocol(service: container.Service) -> Callable[[_Parsed], str]:
    token = SETTINGS["WECHAT_TOKEN"]
    cipher = service.cipher

    def answer(given: _Parsed) -> str:
        outer = envelope(given.body)
        if not signature.is_right(
            given.signature, token, given.timestamp, given.nonce, outer.encrypted
        ):
            raise AssertionError("not signed")
        opened = message(cipher.decrypt(outer.encrypted))
        now = int(time.time())
        reply = replies.text_reply(opened.sender, opened.recipient, now, SAID)
        return replies.sealed_reply(
            cipher, token, reply, now, secrets.token_hex(8), secrets.token_bytes(16)
        )

    return answer


def _wechatpy() -> Callable[[_Parsed], str]:
    crypto = WeChatCrypto(
        SETTINGS["WECHAT_TOKEN"], SETTINGS["WECHAT_AES_KEY"], SETTINGS["WECHAT_APP_ID"]
    )

    def answer(given: _Parsed) -> str:
        opened = parse_message(
            crypto.decrypt_message(given.body, given.signature, given.timestamp, given.nonce)
        )
        reply = create_reply(SAID, opened)
        return str(crypto.encrypt_message(reply.render(), secrets.token_hex(8)))

    return answer
