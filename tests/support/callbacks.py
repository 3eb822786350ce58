"""Post callbacks to the HTTP API as WeChat's servers do, and read the replies."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import fromstring

from chalice.test import HTTPResponse

from chalicelib.store.models import FollowerItem
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


def signed(world: World, fields: Mapping[str, object], openid: str = "o-alice") -> Signed:
    """Return a message in safe mode; `fields` may replace those common to all messages."""
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
    """Post the delivery to the callback."""
    return world.call(
        "POST",
        f"/wechat/callback?{delivery.query}",
        delivery.body,
        headers={"Content-Type": "text/xml"},
    )


def said(world: World, answer: HTTPResponse) -> str:
    """Return the text of the decrypted passive reply; empty where there is none."""
    assert answer.status_code == 200
    if answer.body == NOTHING.encode():
        return ""
    encrypted = fromstring(answer.body).findtext("Encrypt") or ""
    return fromstring(world.service.cipher.decrypt(encrypted)).findtext("Content") or ""


def send_message(world: World, fields: Mapping[str, object], openid: str = "o-alice") -> str:
    """Post a message once and return the text of the reply."""
    return said(world, post(world, signed(world, fields, openid)))


def followers() -> dict[str, bool]:
    """Return each stored openid, and whether it follows."""
    return {item.openid: item.following for item in FollowerItem.scan()}


def query(delivery: Signed) -> dict[str, str]:
    """Return the parameters of a delivery."""
    return dict(pair.split("=", 1) for pair in delivery.query.split("&"))


def changed(delivery: Signed, **parameters: str | None) -> Signed:
    """Return the delivery with other parameters; None removes one."""
    kept = {**query(delivery), **parameters}
    text = "&".join(f"{name}={value}" for name, value in kept.items() if value is not None)
    return Signed(text, delivery.body)
