"""Scenes of QR codes: the login that a scanned code is for, its page and its expiry, signed.

A scene contains its login, so that nothing is stored for a code that is never scanned. Whoever
finds one gets a form with the login filled in, and firm numbers are public; the page that displays the
code then shows how far that person is, and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import NamedTuple

_MAC_LENGTH = 20

_PAGE_LENGTH = 8


class Scene(NamedTuple):
    """What a valid scene says."""

    login: str
    page: str | None
    """The page that displays the QR code, as `page_of` names it; None where none waits for a phone."""


def page_of(recovery: str) -> str:
    """Return the name that the page of a recovery has in scenes; unique with its login alone."""
    return recovery[:_PAGE_LENGTH]


class QrScenes:
    """Makes scenes of at most 64 ASCII characters, WeChat's limit for `QR_STR_SCENE`."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], int]) -> None:
        """`keys` newest first."""
        self._keys = list(keys)
        self._clock = clock

    def make(self, login: str, expires_at: int, page: str | None = None) -> str:
        """Return the scene of a recovery of `login` that ends at `expires_at`, epoch seconds.

        `page` is the name of the page that displays the QR code, from `page_of`.
        """
        body = f"{login}.{expires_at:x}" + (f".{page}" if page else "")
        return f"{body}.{self._mac(self._keys[0], body)}"

    def read(self, scene: str) -> Scene | None:
        """Return what a scene says; None where it is forged or expired."""
        body, _, mac = scene.rpartition(".")
        login, _, rest = body.partition(".")
        expires, _, page = rest.partition(".")
        if not scene.isascii() or not any(
            hmac.compare_digest(self._mac(key, body), mac) for key in self._keys
        ):
            return None
        try:
            return Scene(login, page or None) if int(expires, 16) > self._clock() else None
        except ValueError:
            # Signed by a release whose scenes had another form.
            return None

    @staticmethod
    def _mac(key: bytes, body: str) -> str:
        message = b"login-recovery.scene\0" + body.encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()[:_MAC_LENGTH]
