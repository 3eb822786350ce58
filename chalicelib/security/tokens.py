"""A recovery's token and the browser's cookies: signed, dated, and sealed where necessary.

A valid signature does not imply the shape of this release: keys outlive releases, so every payload
is checked field by field before it is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import itsdangerous
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from ..domain.logins import LOGIN_PATTERN

TOKEN_LIFETIME = 1_800
"""Seconds from the naming of the login to the end of the recovery."""

COOKIE_LIFETIME = 7_200
"""Seconds that an openid stays known to a browser inside WeChat."""


@dataclass(frozen=True)
class RecoveryClaims:
    """The state of a recovery between its steps; the token holds all of it.

    `phone`, `default` and the openids are encrypted there: the token's holder has not yet proved
    anything.
    """

    recovery: str
    """128 random bits in hex; names this recovery to the audit log and to a QR code's scene."""
    login: str
    method: str
    """`sms`, `wechat` or `follow`."""
    version: int
    """The login's password version at the start; a newer one ends the recovery."""
    epoch: int
    """The login's recovery epoch at the start; a newer one ends the recovery."""
    started_at: int
    phone: str | None
    default: str | None
    """The login's default password, which the new one must not contain.

    Here, so that the last step needs no read of the login before it writes."""
    bound_openid: str | None
    """The openid that codes go to, for the method `wechat`."""
    visitor_openid: str | None
    """The openid of the WeChat that the page was opened in; an SMS recovery binds it if it follows."""
    scanned_page: str | None
    """The page on a PC whose QR code led here, by its name in the scene; it shows how far this is."""


METHODS = frozenset({"sms", "wechat", "follow"})

_SIGNED_FIELDS = (str, str, str, int, int, int, str)
"""Types of recovery, login, method, version, epoch, started_at and the sealed fields."""

_SEALED_FIELDS = (str | None,) * 5
"""Types of phone, default, bound_openid, visitor_openid and scanned_page."""


def has_shape(value: Any, types: Sequence[Any]) -> TypeGuard[list[Any]]:
    """Return whether `value` is a list of items of these types, in order.

    A bool is not an int, and a text with a lone surrogate, which has no form in UTF-8, is not a str.
    """
    return (
        isinstance(value, list)
        and len(value) == len(types)
        and all(
            isinstance(item, expected)
            and not isinstance(item, bool)
            and not (isinstance(item, str) and _SURROGATE.search(item))
            for item, expected in zip(value, types, strict=True)
        )
    )


_SURROGATE = re.compile("[\ud800-\udfff]")


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
            # itsdangerous signs with the last key.
            found = self._signers[purpose] = itsdangerous.Signer(
                list(reversed(self._keys)),
                salt=f"login-recovery.{purpose}",
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )
        return found

    def sign(self, purpose: str, value: Any, lifetime: int) -> str:
        """Return a URL-safe text that `verify` accepts for `lifetime` seconds."""
        # itsdangerous' own serializer tries to compress, which takes longer than all else.
        written = json.dumps([self._clock() + lifetime, value], separators=(",", ":")).encode()
        return self._signer(purpose).sign(base64_encode(written)).decode()

    def verify(self, purpose: str, text: str) -> Any | None:
        """Return the value, or None where the text is forged, of another purpose, or too old.

        The value has any shape that a release has ever signed for this purpose.
        """
        try:
            # Non-ASCII text has no valid signature; itsdangerous would raise on it.
            written = self._signer(purpose).unsign(text.encode("ascii"))
            envelope = json.loads(base64_decode(written))
        except (BadData, ValueError, TypeError, RecursionError):
            return None
        if not has_shape(envelope, (int, object)):
            return None
        expires_at, value = envelope
        return value if expires_at > self._clock() else None


class Sealer:
    """Encrypts the confidential parts of tokens and items: AES-256-GCM under rotating keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [
            AESGCM(hashlib.sha256(b"login-recovery.seal\0" + key).digest()) for key in keys
        ]

    def seal(self, purpose: str, text: str) -> str:
        """Return URL-safe text that only `unseal` with the same purpose opens."""
        nonce = secrets.token_bytes(12)
        sealed = self._ciphers[0].encrypt(nonce, text.encode(), purpose.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, purpose: str, sealed: str) -> str | None:
        """Return the text, or None where it was not sealed by any of the keys for this purpose."""
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
    """Converts a recovery's claims to its token and back."""

    def __init__(self, signer: Signer, sealer: Sealer) -> None:
        self._signer = signer
        self._sealer = sealer

    def issue(self, claims: RecoveryClaims) -> str:
        """Return the bearer token of a recovery, valid for TOKEN_LIFETIME seconds."""
        hidden = json.dumps(
            [
                claims.phone,
                claims.default,
                claims.bound_openid,
                claims.visitor_openid,
                claims.scanned_page,
            ]
        )
        return self._signer.sign(
            "recovery",
            [
                claims.recovery,
                claims.login,
                claims.method,
                claims.version,
                claims.epoch,
                claims.started_at,
                # Bound to its recovery, so that a sealed part fits no other token.
                self._sealer.seal("claims " + claims.recovery, hidden),
            ],
            TOKEN_LIFETIME,
        )

    def read(self, token: str) -> RecoveryClaims | None:
        """Return the claims, or None where the token is forged, too old or of another release."""
        value = self._signer.verify("recovery", token)
        if not has_shape(value, _SIGNED_FIELDS):
            return None
        recovery, login, method, version, epoch, started_at, sealed = value
        if method not in METHODS or re.fullmatch(LOGIN_PATTERN, login) is None:
            return None
        hidden = self._unsealed("claims " + recovery, sealed)
        if not has_shape(hidden, _SEALED_FIELDS):
            return None
        phone, default, bound_openid, visitor_openid, scanned_page = hidden
        return RecoveryClaims(
            recovery,
            login,
            method,
            version,
            epoch,
            started_at,
            phone,
            default,
            bound_openid,
            visitor_openid,
            scanned_page,
        )

    def _unsealed(self, purpose: str, sealed: str) -> Any | None:
        text = self._sealer.unseal(purpose, sealed)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None
