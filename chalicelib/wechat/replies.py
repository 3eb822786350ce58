"""Passive replies: the responses to callbacks, due within five seconds."""

from __future__ import annotations

import re

from . import signature
from .cipher import MessageCipher

NOTHING = "success"
"""Response without a message to the person."""

MAXIMUM_BYTES = 2_048
"""WeChat's limit of a text's content."""

# Characters that XML 1.0 forbids, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(content: str) -> str:
    """Return a text without control characters, cut to MAXIMUM_BYTES between characters."""
    text = _FORBIDDEN.sub("", content)
    # A character has at most four bytes.
    if 4 * len(text) <= MAXIMUM_BYTES:
        return text
    return text.encode()[:MAXIMUM_BYTES].decode(errors="ignore")


def _cdata(text: str) -> str:
    # "]]>" would end the section, so it is split into two sections.
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def text_reply(to: str, sender: str, now: int, content: str) -> str:
    """Return the XML of a text to `to`, an openid, from `sender`, the account's original id.

    `now` is in epoch seconds.
    """
    return (
        f"<xml><ToUserName>{_cdata(clean(to))}</ToUserName>"
        f"<FromUserName>{_cdata(clean(sender))}</FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType>{_cdata('text')}</MsgType>"
        f"<Content>{_cdata(clean(content))}</Content></xml>"
    )


def sealed_reply(
    cipher: MessageCipher, token: str, reply: str, now: int, nonce: str, random16: bytes
) -> str:
    """Return a reply in the envelope of safe mode; `random16` are 16 new random bytes."""
    encrypted = cipher.encrypt(reply.encode(), random16)
    signed = signature.sign(token, str(now), nonce, encrypted)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt>"
        f"<MsgSignature>{_cdata(signed)}</MsgSignature>"
        f"<TimeStamp>{now}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    )
