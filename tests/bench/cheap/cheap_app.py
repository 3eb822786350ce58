"""The service with argon2id at its least, as its peers are set to hashes that cost nothing.

What a recovery takes besides a hash of 20 ms and more is a difference of two large figures
otherwise. Handler of the measured function; all else is the package's own.
"""

from __future__ import annotations

from chalicelib import wiring
from chalicelib.keys.passwords import PasswordHasher


class Cheap(wiring.Service):
    """Hashes 8 KiB in one pass: some 20 µs."""

    @property
    def hasher(self) -> PasswordHasher:  # type: ignore[override]
        return PasswordHasher(self._peppers, memory_kib=8, passes=1)


wiring.Service = Cheap  # type: ignore[misc]
wiring.install(None)

# The app builds its service as it is imported.
from app import app

__all__ = ["app"]
