"""The scene of a QR code: which login a scanned code is about, and until when.

A scene names its login itself, so that nothing is stored for a code that nobody scans. It gives
its finder no more than a login that is filled in, and firm numbers are public.
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
        """The scene of a recovery of `login` that ends at `expires_at`, epoch seconds."""
        body = f"{login}.{expires_at:x}"
        return f"{body}.{self._mac(self._keys[0], body)}"

    def login(self, scene: str) -> str | None:
        """The login of a scene, or None where it is forged or past its time."""
        body, _, mac = scene.rpartition(".")
        login, _, expires = body.rpartition(".")
        if not scene.isascii() or not any(
            hmac.compare_digest(self._mac(key, body), mac) for key in self._keys
        ):
            return None
        return login if int(expires, 16) > self._clock() else None

    @staticmethod
    def _mac(key: bytes, body: str) -> str:
        message = b"login-recovery.scene\0" + body.encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()[:_MAC_LENGTH]
