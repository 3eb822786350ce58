"""Callbacks from WeChat to the account's server: safe mode, 5 s time-out, three deliveries."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

import requests
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from chalicelib.wechat import signature
from chalicelib.wechat.cipher import DecryptError, MessageCipher

LIMIT = 5.0
"""Seconds in which the account must respond."""

DELIVERIES = 3
"""Maximum number of posts of a message without a response."""

ACCOUNT = "gh_localstack001"
"""The account's original id (原始ID)."""

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class PassiveReply:
    """The reply to a message: a text, "" for none, None for a fault.

    `deliveries` is the number of posts.
    """

    text: str | None
    deliveries: int


class Callbacks:
    """Posts messages to an account's server and parses its passive replies."""

    def __init__(
        self,
        url: Callable[[], str],
        token: str,
        aes_key: str,
        app_id: str,
        clock: Callable[[], int],
        *,
        limit: float = LIMIT,
    ) -> None:
        """`url` is called for each message, since the service may start after its platform."""
        self._url = url
        self._token = token
        self._cipher = MessageCipher(aes_key, app_id)
        self._clock = clock
        self._limit = limit
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def deliver(self, openid: str, elements: dict[str, str | int]) -> PassiveReply:
        """Post a message until there is a response, at most three times."""
        inner = _xml({"ToUserName": ACCOUNT, "FromUserName": openid, **elements})
        for delivery in range(1, DELIVERIES + 1):
            body = self._post(openid, inner)
            if body is not None:
                return PassiveReply(self._read(openid, body), delivery)
        return PassiveReply(None, DELIVERIES)

    def _post(self, openid: str, inner: str) -> bytes | None:
        timestamp, nonce = str(self._clock()), str(secrets.randbelow(2**31))
        encrypted = self._cipher.encrypt(inner.encode(), secrets.token_bytes(16))
        query = {
            "signature": signature.sign(self._token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": openid,
            "encrypt_type": "aes",
            "msg_signature": signature.sign(self._token, timestamp, nonce, encrypted),
        }
        try:
            response = self._session.post(
                self._url(),
                params=query,
                data=_xml({"ToUserName": ACCOUNT, "Encrypt": encrypted}).encode(),
                headers={"Content-Type": "text/xml"},
                timeout=self._limit,
                allow_redirects=False,
            )
        except requests.RequestException:
            return None
        # WeChat treats any other status as no response.
        return response.content if response.status_code == 200 else None

    def _read(self, openid: str, body: bytes) -> str | None:
        if body.strip() in (b"", b"success"):
            return ""
        try:
            outer = _children(body)
            valid = signature.is_right(
                outer.get("MsgSignature"),
                self._token,
                outer.get("TimeStamp"),
                outer.get("Nonce"),
                outer.get("Encrypt", ""),
            )
            inner = _children(self._cipher.decrypt(outer.get("Encrypt", ""))) if valid else {}
        except (ParseError, DefusedXmlException, DecryptError, ValueError):
            return None
        addressed = inner.get("ToUserName") == openid and inner.get("FromUserName") == ACCOUNT
        if not addressed or inner.get("MsgType") != "text" or not inner.get("CreateTime"):
            return None
        return inner.get("Content") or None


def _children(xml: bytes) -> dict[str, str]:
    root = fromstring(xml, forbid_dtd=True)
    return {child.tag: child.text or "" for child in root}


def _xml(elements: dict[str, str | int]) -> str:
    # As in WeChat's XML: texts are CDATA, numbers are not.
    inner = "".join(f"<{name}>{_content(value)}</{name}>" for name, value in elements.items())
    return f"<xml>{inner}</xml>"


def _content(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    text = _FORBIDDEN.sub("", value)
    return escape(text) if "]]>" in text else f"<![CDATA[{text}]]>"
