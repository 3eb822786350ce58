"""Passive replies: what the callback answers within five seconds."""

from __future__ import annotations

import re

from . import signature
from .cipher import MessageCipher

NOTHING = "success"
"""The answer that tells WeChat all is well and the person nothing."""

MAXIMUM_BYTES = 2_048
"""WeChat's limit for the content of a text."""

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(content: str) -> str:
    """Text that fits into a reply: without control characters, cut at a character's edge."""
    text = _FORBIDDEN.sub("", content)
    # No character has more than four bytes.
    if 4 * len(text) <= MAXIMUM_BYTES:
        return text
    return text.encode()[:MAXIMUM_BYTES].decode(errors="ignore")


def _cdata(text: str) -> str:
    # "]]>" would end the section, so it is spread over two.
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def text_reply(to: str, sender: str, now: int, content: str) -> str:
    """A text to `to` (an openid) from `sender` (the account's own name)."""
    return (
        f"<xml><ToUserName>{_cdata(clean(to))}</ToUserName>"
        f"<FromUserName>{_cdata(clean(sender))}</FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType>{_cdata('text')}</MsgType>"
        f"<Content>{_cdata(clean(content))}</Content></xml>"
    )


def sealed_reply(
    cipher: MessageCipher, token: str, reply: str, now: int, nonce: str, random16: bytes
) -> str:
    """A reply in the envelope of safe mode."""
    encrypted = cipher.encrypt(reply.encode(), random16)
    signed = signature.sign(token, str(now), nonce, encrypted)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt>"
        f"<MsgSignature>{_cdata(signed)}</MsgSignature>"
        f"<TimeStamp>{now}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    )
