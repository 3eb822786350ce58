"""A recovery's token and the browser's cookies: signed, dated, and sealed where they must be."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import itsdangerous
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

TOKEN_LIFETIME = 1_800
"""Seconds from the naming of the login to the end of the recovery."""

COOKIE_LIFETIME = 7_200
"""Seconds that an openid stays known to a browser inside WeChat."""


@dataclass(frozen=True)
class RecoveryClaims:
    """What a recovery carries from step to step; all of it is in the token.

    `phone` and `openid` are encrypted there: the token's holder has not yet proved anything.
    """

    recovery: str
    """128 random bits in hex; names this recovery to the audit log and to a QR code's scene."""
    login: str
    method: str
    """`sms`, `wechat` or `follow`."""
    version: int
    """The login's password version at the start; a newer one ends the recovery."""
    started_at: int
    phone: str | None
    default: str | None
    """The login's default password, which the new one must not contain."""
    bound_openid: str | None
    """The openid that codes go to, for the method `wechat`."""
    visitor_openid: str | None
    """The openid of the WeChat that the page was opened in, to be bound_openid after an SMS recovery."""


class Signer:
    """Signs small JSON values with rotating keys, each purpose apart from the others."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], int]) -> None:
        """`keys` newest first; the newest signs, all of them verify."""
        self._keys = list(keys)
        self._clock = clock
        self._signers: dict[str, itsdangerous.Signer] = {}

    def _signer(self, purpose: str) -> itsdangerous.Signer:
        found = self._signers.get(purpose)
        if found is None:
            # itsdangerous wants the newest key last.
            found = self._signers[purpose] = itsdangerous.Signer(
                list(reversed(self._keys)),
                salt=f"login-recovery.{purpose}",
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )
        return found

    def sign(self, purpose: str, value: Any, lifetime: int) -> str:
        """A URL-safe text that `verify` takes for `lifetime` seconds."""
        # itsdangerous' own serializer tries to compress, which takes longer than all else.
        written = json.dumps([self._clock() + lifetime, value], separators=(",", ":")).encode()
        return self._signer(purpose).sign(base64_encode(written)).decode()

    def verify(self, purpose: str, text: str) -> Any | None:
        """The value, or None where the text is forged, of another purpose, or too old."""
        try:
            # Non-ASCII text has no valid signature; itsdangerous would raise on it.
            written = self._signer(purpose).unsign(text.encode("ascii"))
            expires_at, value = json.loads(base64_decode(written))
        except (BadData, ValueError, TypeError, RecursionError):
            return None
        return value if expires_at > self._clock() else None


class Sealer:
    """Encrypts what a token or an item may carry but not show: AES-256-GCM under rotating keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [
            AESGCM(hashlib.sha256(b"login-recovery.seal\0" + key).digest()) for key in keys
        ]

    def seal(self, purpose: str, text: str) -> str:
        """URL-safe text that only `unseal` with the same purpose opens."""
        nonce = secrets.token_bytes(12)
        sealed = self._ciphers[0].encrypt(nonce, text.encode(), purpose.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, purpose: str, sealed: str) -> str | None:
        """The text, or None where it was not sealed by any of the keys for this purpose."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except ValueError:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(raw[:12], raw[12:], purpose.encode()).decode()
            except (InvalidTag, ValueError):
                continue
        return None


class Tokens:
    """Tickets to tokens and back."""

    def __init__(self, signer: Signer, sealer: Sealer) -> None:
        self._signer = signer
        self._sealer = sealer

    def issue(self, claims: RecoveryClaims) -> str:
        """The bearer token of a recovery, good for TOKEN_LIFETIME seconds."""
        hidden = json.dumps(
            [claims.phone, claims.default, claims.bound_openid, claims.visitor_openid]
        )
        return self._signer.sign(
            "recovery",
            [
                claims.recovery,
                claims.login,
                claims.method,
                claims.version,
                claims.started_at,
                # Bound to its recovery, so that a sealed part fits no other token.
                self._sealer.seal("claims " + claims.recovery, hidden),
            ],
            TOKEN_LIFETIME,
        )

    def read(self, token: str) -> RecoveryClaims | None:
        """The claims, or None where the token is forged or too old."""
        value = self._signer.verify("recovery", token)
        if value is None:
            return None
        recovery, login, method, version, started_at, sealed = value
        hidden = self._sealer.unseal("claims " + recovery, sealed)
        if hidden is None:
            return None
        phone, default, bound_openid, visitor_openid = json.loads(hidden)
        return RecoveryClaims(
            recovery,
            login,
            method,
            version,
            started_at,
            phone,
            default,
            bound_openid,
            visitor_openid,
        )
