"""Callbacks as WeChat's servers post them, through the HTTP door, and what is answered."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from xml.etree.ElementTree import fromstring

from chalice.test import HTTPResponse

from chalicelib.wechat import signature
from chalicelib.wechat.replies import NOTHING
from tests.conftest import SETTINGS, World

TAPPED = {"MsgType": "event", "Event": "CLICK", "EventKey": "code"}
"""The menu item 获取验证码."""


@dataclass(frozen=True)
class Signed:
    """One delivery: its query without the `?`, and its body."""

    query: str
    body: bytes


def signed(world: World, fields: dict[str, object], openid: str = "o-alice") -> Signed:
    """A message in safe mode; `fields` may replace the ones that every message has."""
    common = {"ToUserName": "gh_1", "FromUserName": openid, "CreateTime": world.clock.time}
    xml = "".join(f"<{name}>{value}</{name}>" for name, value in {**common, **fields}.items())
    encrypted = world.service.cipher.encrypt(f"<xml>{xml}</xml>".encode(), secrets.token_bytes(16))
    timestamp, nonce = str(world.clock.time), str(1_000_000_000 + secrets.randbelow(1_000_000_000))
    token = SETTINGS["WECHAT_TOKEN"]
    return Signed(
        f"signature={signature.sign(token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}"
        f"&openid={openid}&encrypt_type=aes"
        f"&msg_signature={signature.sign(token, timestamp, nonce, encrypted)}",
        f"<xml><ToUserName>gh_1</ToUserName><Encrypt>{encrypted}</Encrypt></xml>".encode(),
    )


def post(world: World, delivery: Signed) -> HTTPResponse:
    """Deliver it."""
    return world.call(
        "POST",
        f"/wechat/callback?{delivery.query}",
        delivery.body,
        headers={"Content-Type": "text/xml"},
    )


def said(world: World, answer: HTTPResponse) -> str:
    """What the account answered, opened; empty where it said nothing."""
    assert answer.status_code == 200
    if answer.body == NOTHING.encode():
        return ""
    encrypted = fromstring(answer.body).findtext("Encrypt") or ""
    return fromstring(world.service.cipher.decrypt(encrypted)).findtext("Content") or ""


def tell(world: World, fields: dict[str, object], openid: str = "o-alice") -> str:
    """Deliver a message once; what the account says to it."""
    return said(world, post(world, signed(world, fields, openid)))
