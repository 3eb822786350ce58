"""Scenes of QR codes: the login that a scanned code is for, and its expiry, signed.

A scene contains its login, so that nothing is stored for a code that is never scanned. Whoever
finds one gets a form with the login filled in, and firm numbers are public.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

_MAC_LENGTH = 20


class QrScenes:
    """Makes scenes of at most 64 ASCII characters, WeChat's limit for `QR_STR_SCENE`."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], int]) -> None:
        """`keys` newest first."""
        self._keys = list(keys)
        self._clock = clock

    def make(self, login: str, expires_at: int) -> str:
        """Return the scene of a recovery of `login` that ends at `expires_at`, epoch seconds."""
        body = f"{login}.{expires_at:x}"
        return f"{body}.{self._mac(self._keys[0], body)}"

    def login(self, scene: str) -> str | None:
        """Return the login of a scene; None where it is forged or expired."""
        body, _, mac = scene.rpartition(".")
        login, _, expires = body.rpartition(".")
        if not scene.isascii() or not any(
            hmac.compare_digest(self._mac(key, body), mac) for key in self._keys
        ):
            return None
        try:
            return login if int(expires, 16) > self._clock() else None
        except ValueError:
            # Signed by a release whose scenes had another form.
            return None

    @staticmethod
    def _mac(key: bytes, body: str) -> str:
        message = b"login-recovery.scene\0" + body.encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()[:_MAC_LENGTH]
