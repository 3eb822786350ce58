"""The service with argon2id at its least: its peers run with hashes that cost nothing as well.

With a hash of 20 ms and more, the rest of a recovery would be a difference of two large figures.
Handler of the measured function; all else is the package's own.
"""

from __future__ import annotations

from chalicelib import container, runtime
from chalicelib.security.password_hasher import PasswordHasher


class Cheap(container.Service):
    """The service with a hash of 8 KiB in one pass: some 20 µs."""

    @property
    def hasher(self) -> PasswordHasher:
        return PasswordHasher(self.peppers, memory_kib=8, passes=1)


runtime.Service = Cheap  # type: ignore[attr-defined]
runtime.install(None)

# The app builds its service as it is imported.
from app import app

__all__ = ["app"]
