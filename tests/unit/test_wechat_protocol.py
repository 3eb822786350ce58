"""The message protocol, compared with published vectors and with wechatpy."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wechatpy import parse_message
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
NOW = 1_800_000_000
TEXT = st.text(max_size=200) | st.text("]>[CDATA!&;<", max_size=60)
"""People's text: any characters at all, and those that XML is made of."""


@pytest.mark.parametrize("vector", VECTORS["crypto_vectors"], ids=lambda v: v["id"])
def test_a_published_message_is_decrypted_and_encrypted(vector: dict[str, Any]) -> None:
    """With the same random bytes the cipher text is the published one."""
    cipher = MessageCipher(vector["encodingAESKey"], vector["appid"])
    if vector["outer_body"]:
        assert messages.envelope(vector["outer_body"].encode()).encrypted == vector["encrypt"]
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
    """It is wrong for every other token."""
    parts = (vector["timestamp"], vector["nonce"])
    assert signature.is_right(vector["signature"], vector["token"], *parts)
    assert not signature.is_right(vector["signature"], "another", *parts)


@settings(max_examples=1000)
@given(
    TEXT, st.binary(min_size=16, max_size=16), st.from_regex("[0-9a-zA-Z]{1,32}", fullmatch=True)
)
@example("]]>", b"\0" * 16, "0")
@example("验" * 2000, b"\xff" * 16, "n1")
def test_wechatpy_decrypts_our_messages(text: str, random16: bytes, nonce: str) -> None:
    """With any text in them."""
    reply = replies.text_reply("o-alice", "gh_1", NOW, text)
    sealed = replies.sealed_reply(MessageCipher(KEY, APP), TOKEN, reply, NOW, nonce, random16)
    outer = fromstring(sealed)
    opened = WeChatCrypto(TOKEN, KEY, APP).decrypt_message(
        sealed, outer.findtext("MsgSignature"), outer.findtext("TimeStamp"), outer.findtext("Nonce")
    )
    inner = fromstring(opened)
    # XML reads each kind of line end as one.
    said = replies.clean(text).replace("\r\n", "\n").replace("\r", "\n")
    assert [(element.tag, element.text or "") for element in inner] == [
        ("ToUserName", "o-alice"),
        ("FromUserName", "gh_1"),
        ("CreateTime", str(NOW)),
        ("MsgType", "text"),
        ("Content", said),
    ]


@settings(max_examples=1000)
@given(TEXT)
@example("]]>")
@example("a\ufffdb")
def test_we_decrypt_wechatpy_s_messages(text: str) -> None:
    """Signature included; both read the same text, but for the substitution marks that we drop."""
    content = replies.clean(text).replace("]]>", "]]]]><![CDATA[>")
    xml = (
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o-alice</FromUserName>"
        f"<CreateTime>{NOW}</CreateTime><MsgType>text</MsgType>"
        f"<Content><![CDATA[{content}]]></Content><MsgId>7</MsgId></xml>"
    )
    closed = WeChatCrypto(TOKEN, KEY, APP).encrypt_message(xml, "n1", str(NOW))
    outer = messages.envelope(closed.encode())
    given_signature = fromstring(closed).findtext("MsgSignature")
    assert signature.is_right(given_signature, TOKEN, str(NOW), "n1", outer.encrypted)
    opened = MessageCipher(KEY, APP).decrypt(outer.encrypted)
    assert opened == xml.encode()
    message = messages.message(opened)
    assert isinstance(message, messages.Text)
    read = (parse_message(opened).content or "").replace("\N{REPLACEMENT CHARACTER}", "")
    assert message.content == read.strip()
    assert (message.sender, message.recipient, message.created_at) == ("o-alice", "gh_1", NOW)


def test_a_changed_message_is_refused_by_both_sides() -> None:
    """A single changed character of the body fails our check and wechatpy's."""
    closed = WeChatCrypto(TOKEN, KEY, APP).encrypt_message("<xml/>", "n1", str(NOW))
    outer = messages.envelope(closed.encode())
    changed = ("B" if outer.encrypted[0] != "B" else "C") + outer.encrypted[1:]
    signed = fromstring(closed).findtext("MsgSignature")
    assert not signature.is_right(signed, TOKEN, str(NOW), "n1", changed)
    with pytest.raises(InvalidSignatureException):
        WeChatCrypto(TOKEN, KEY, APP).decrypt_message(
            closed.replace(outer.encrypted, changed), signed, str(NOW), "n1"
        )


@pytest.mark.parametrize(
    ("timestamp", "nonce"),
    [
        (None, "n"),
        ("1800000000", None),
        ("", "n"),
        ("1800000000", ""),
        ("１８００００００００", "n"),
        ("180000000x", "n"),
        ("180000000", "n"),
        ("18000000001", "n"),
        ("0800000000", "n"),
        ("3000000000", "n"),
        ("1800000000\n", "n"),
        ("1800000000", "n n"),
        ("1800000000", "n\n"),
        ("1800000000", "号"),
        ("1800000000", "n" * 65),
    ],
)
def test_a_signature_requires_well_formed_parts(timestamp: str | None, nonce: str | None) -> None:
    """Joined parts could be split differently, so each must have WeChat's form."""
    signed = signature.sign(TOKEN, timestamp or "", nonce or "")
    assert not signature.is_right(signed, TOKEN, timestamp, nonce)


@pytest.mark.parametrize("vector", VECTORS["plain_signature_vectors"], ids=lambda v: v["id"])
@pytest.mark.parametrize("moved", [-9, -2, -1, 1, 2, 8])
def test_a_captured_signature_does_not_fit_another_split(
    vector: dict[str, Any], moved: int
) -> None:
    """Moving digits between nonce and timestamp leaves the digest as it is."""
    timestamp, nonce = vector["timestamp"], vector["nonce"]
    first, second = sorted([timestamp, nonce])
    joined, cut = first + second, len(first) + moved
    for split in ((joined[:cut], joined[cut:]), (joined[cut:], joined[:cut])):
        assert not signature.is_right(vector["signature"], vector["token"], *split)


@pytest.mark.parametrize("given", [None, "", "é" * 40, "\ud800", "0" * 40, "A" * 40, "x" * 10_000])
def test_a_malformed_signature_is_wrong_without_an_error(given: str | None) -> None:
    """Missing, not ASCII, not even text."""
    assert not signature.is_right(given, TOKEN, str(NOW), "n1")
    assert not signature.is_right(given, TOKEN, str(NOW), "n1", "QUJD")


def test_an_empty_token_signs_nothing() -> None:
    """Anybody could compute such a signature."""
    assert not signature.is_right(signature.sign("", str(NOW), "n1"), "", str(NOW), "n1")


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `hmac.compare_digest` compares them."""
    compared: list[tuple[bytes, bytes]] = []

    def comparing(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", comparing)
    signed = signature.sign(TOKEN, str(NOW), "n1")
    assert not signature.is_right(signed, TOKEN, str(NOW), "n1")
    assert compared == [(signed.encode(), signed.encode())]


def _encrypted(plain: bytes) -> str:
    """Return the cipher text of exactly this plain text, padding included."""
    key = base64.b64decode(KEY + "=")
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def _plain(message: bytes = b"<xml/>", app: str = APP, length: int | None = None) -> bytes:
    size = len(message) if length is None else length
    return b"r" * 16 + size.to_bytes(4, "big") + message + app.encode()


def _padded(plain: bytes) -> bytes:
    pad = 32 - len(plain) % 32
    return plain + bytes([pad]) * pad


def test_the_base_of_the_following_cases_is_valid() -> None:
    """Each of them changes one thing, which is why it is refused."""
    assert MessageCipher(KEY, APP).decrypt(_encrypted(_padded(_plain()))) == b"<xml/>"


def _with_pad(*pad: int) -> bytes:
    plain = _plain(b"x" * (96 - len(_plain(b"")) - len(pad)))
    return plain + bytes(pad)


@pytest.mark.parametrize(
    "plain",
    [
        _with_pad(0),
        _with_pad(*[33] * 33),
        _with_pad(255),
        _with_pad(1, 3, 3),
        _with_pad(3, 1, 3),
        _with_pad(*[32] * 5, 31, *[32] * 26),
        _padded(_plain(app="wxffffffffffffffff")),
        _padded(_plain(app=APP + "x")),
        _padded(_plain(app=APP[:-1])),
        _padded(_plain(app="")),
        _padded(_plain(length=5)),
        _padded(_plain(length=7)),
        _padded(_plain(length=2**32 - 1)),
        _padded(b"r" * 16),
        _padded(b"r" * 19),
        b"\x20" * 32,
        _plain(b"x" * (48 - len(_plain(b"")) - 8)) + b"\x08" * 8,
    ],
    ids=range(17),
)
def test_every_pad_byte_the_length_and_the_app_are_checked(plain: bytes) -> None:
    """Messages for another account and damaged ones end in the same refusal."""
    assert len(plain) % 16 == 0
    with pytest.raises(DecryptError) as caught:
        MessageCipher(KEY, APP).decrypt(_encrypted(plain))
    assert str(caught.value) == ""
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é", "\ud800", "A" * 43, "=" * 44])
def test_malformed_cipher_texts_are_refused_alike(text: str) -> None:
    """No error but the one."""
    with pytest.raises(DecryptError):
        MessageCipher(KEY, APP).decrypt(text)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "A", "!" * 43, "号" * 43])
def test_a_malformed_key_is_refused(key: str) -> None:
    """The service does not start without a key."""
    with pytest.raises(ValueError, match=r"."):
        MessageCipher(key, APP)
