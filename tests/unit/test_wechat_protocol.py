"""The message protocol, against published vectors and against wechatpy as the other side."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidSignatureException

from chalicelib.wechat import messages, replies, signature
from chalicelib.wechat.cipher import DecryptError, MessageCipher

VECTORS: dict[str, Any] = json.loads(
    Path(__file__).with_name("wechat_vectors.json").read_text("utf-8")
)
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP = "wx0123456789abcdef"
TOKEN = "callbacktoken"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)


@pytest.mark.parametrize("vector", VECTORS["crypto_vectors"], ids=lambda v: v["id"])
def test_a_published_message_opens_and_closes_as_published(vector: dict[str, Any]) -> None:
    """The plain text is the published one, and with the same random bytes so is the cipher text."""
    cipher = MessageCipher(vector["encodingAESKey"], vector["appid"])
    plain = vector["expected_plaintext"].encode()
    assert cipher.decrypt(vector["encrypt"]) == plain
    random16 = vector["expected_random16"].encode("latin-1")
    assert cipher.encrypt(plain, random16) == vector["encrypt"]
    if vector["msg_signature"]:
        assert signature.is_right(
            vector["msg_signature"],
            vector["token"],
            vector["timestamp"],
            vector["nonce"],
            vector["encrypt"],
        )


@pytest.mark.parametrize("vector", VECTORS["plain_signature_vectors"], ids=lambda v: v["id"])
def test_a_published_plain_signature_is_right(vector: dict[str, Any]) -> None:
    """And it is wrong for every other token."""
    parts = (vector["timestamp"], vector["nonce"])
    assert signature.is_right(vector["signature"], vector["token"], *parts)
    assert not signature.is_right(vector["signature"], "another", *parts)


@settings(max_examples=500, deadline=None)
@given(TEXT)
def test_what_we_close_wechatpy_opens(text: str) -> None:
    """Our sealed reply is one that WeChat's side can read, whatever people's text is in it."""
    cipher = MessageCipher(KEY, APP)
    reply = replies.text_reply("o-alice", "gh_1", 1_800_000_000, text)
    sealed = replies.sealed_reply(
        cipher, TOKEN, reply, 1_800_000_000, "n1", secrets.token_bytes(16)
    )
    outer = fromstring(sealed)
    opened = WeChatCrypto(TOKEN, KEY, APP).decrypt_message(
        sealed, outer.findtext("MsgSignature"), outer.findtext("TimeStamp"), outer.findtext("Nonce")
    )
    assert fromstring(opened).findtext("Content") == replies.clean(text)


@settings(max_examples=500, deadline=None)
@given(TEXT)
def test_what_wechatpy_closes_we_open(text: str) -> None:
    """And the other way round, signature included."""
    xml = replies.text_reply("gh_1", "o-alice", 1_800_000_000, text)
    closed = WeChatCrypto(TOKEN, KEY, APP).encrypt_message(xml, "n1", "1800000000")
    outer = messages.envelope(closed.encode())
    given_signature = fromstring(closed).findtext("MsgSignature")
    assert signature.is_right(given_signature, TOKEN, "1800000000", "n1", outer.encrypted)
    assert MessageCipher(KEY, APP).decrypt(outer.encrypted) == xml.encode()


def test_a_changed_message_is_refused_by_both_sides() -> None:
    """One changed character of the body, and neither our check nor wechatpy's lets it pass."""
    closed = WeChatCrypto(TOKEN, KEY, APP).encrypt_message("<xml/>", "n1", "1800000000")
    outer = messages.envelope(closed.encode())
    changed = ("B" if outer.encrypted[0] != "B" else "C") + outer.encrypted[1:]
    signed = fromstring(closed).findtext("MsgSignature")
    assert not signature.is_right(signed, TOKEN, "1800000000", "n1", changed)
    with pytest.raises(InvalidSignatureException):
        WeChatCrypto(TOKEN, KEY, APP).decrypt_message(
            closed.replace(outer.encrypted, changed), signed, "1800000000", "n1"
        )


@pytest.mark.parametrize(
    ("timestamp", "nonce"),
    [(None, "n"), ("1", None), ("", "n"), ("1", ""), ("１", "n"), ("1x", "n"), ("1", "n n")],
)
def test_a_signature_is_right_only_for_parts_of_their_form(
    timestamp: str | None, nonce: str | None
) -> None:
    """Joined parts could be split anew elsewhere, so each part must look as WeChat writes it."""
    signed = signature.sign(TOKEN, timestamp or "", nonce or "")
    assert not signature.is_right(signed, TOKEN, timestamp, nonce)


def test_every_pad_byte_the_length_and_the_app_are_checked() -> None:
    """A message for another account, and every kind of damage, end in the same refusal."""
    cipher = MessageCipher(KEY, APP)
    other = MessageCipher(KEY, "wxffffffffffffffff").encrypt(b"<xml/>", b"r" * 16)
    for damaged in (other, "", "AAAA", "not base64!", "é", cipher.encrypt(b"x", b"r" * 16)[:-24]):
        with pytest.raises(DecryptError):
            cipher.decrypt(damaged)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>'
FILE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><xml><Encrypt>&a;</Encrypt></xml>'


@pytest.mark.parametrize(
    "xml",
    [BOMB, FILE, b"<!DOCTYPE xml><xml/>", b"", b"{}", b"<xml>", b"<a/>", b"<xml/>",
     b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>", b"<xml>" + b" " * 70_000 + b"</xml>"],
)  # fmt: skip
def test_xml_that_is_no_envelope_is_refused(xml: bytes) -> None:
    """No document type, no second element of a name, nothing too large."""
    with pytest.raises(messages.MessageError):
        messages.envelope(xml)


def _event(name: str, key: str = "", created: int = 5, extra: str = "") -> messages.Message:
    return messages.message(
        f"<xml><ToUserName>gh_1</ToUserName><FromUserName>o-alice</FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType>event</MsgType><Event>{name}</Event>"
        f"<EventKey>{key}</EventKey>{extra}</xml>".encode()
    )


def test_events_become_their_types() -> None:
    """Each event that the account acts on, with what it carries."""
    scanned = _event("subscribe", "qrscene_11010148.abc")
    assert isinstance(scanned, messages.Subscribed)
    assert scanned.scene == "11010148.abc"
    plain = _event("subscribe")
    assert isinstance(plain, messages.Subscribed)
    assert plain.scene is None
    assert isinstance(_event("unsubscribe"), messages.Unsubscribed)
    assert isinstance(_event("SCAN", "s"), messages.Scanned)
    assert isinstance(_event("CLICK", "code"), messages.Clicked)
    receipt = _event("TEMPLATESENDJOBFINISH", extra="<MsgID>9</MsgID><Status>success</Status>")
    assert isinstance(receipt, messages.TemplateSent)
    assert (receipt.message_id, receipt.status) == ("9", "success")
    assert type(_event("VIEW")) is messages.Message


def test_a_repeat_has_the_same_key_and_another_message_has_not() -> None:
    """The key tells deliveries of one message from those of two."""
    assert _event("CLICK", "code").dedup_key == _event("CLICK", "code").dedup_key
    assert _event("CLICK", "code").dedup_key != _event("CLICK", "code", created=6).dedup_key


@pytest.mark.parametrize("content", ["]]>", "a]]>b]]>", "\x00\x08\x1b", "验" * 2000, "\ud800"])
def test_no_text_breaks_a_reply(content: str) -> None:
    """The reply stays XML, whatever a person wrote, within WeChat's length."""
    reply = replies.text_reply("o", "gh_1", 1, content.replace("\ud800", ""))
    found = fromstring(reply).findtext("Content") or ""
    assert len(found.encode()) <= replies.MAXIMUM_BYTES
    assert found == replies.clean(content.replace("\ud800", ""))
