"""Password hashes: argon2id over a peppered HMAC, so that a dump of the table alone is useless."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from ..domain.passwords import normalise

# OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1

_OWN = re.compile(r"v([0-9]+):(\$argon2id\$.+)", re.ASCII | re.DOTALL)


class PasswordHasher:
    """Makes and checks stored hashes.

    Two forms are stored: `v<pepper>:$argon2id$…`, ours, and a bare `$argon2…` PHC string, which
    an import brought along from the old system and which has no pepper. A further form of an old
    system would be recognised in `verify` and replaced by ours at the first right password, as
    `needs_rehash` already asks for.
    """

    def __init__(
        self,
        peppers: Mapping[int, bytes],
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
    ) -> None:
        """`peppers` maps versions to keys, the current one first."""
        self._peppers = dict(peppers)
        self._current = next(iter(self._peppers))
        self._argon2 = Argon2(
            time_cost=passes, memory_cost=memory_kib, parallelism=LANES, hash_len=32, salt_len=16
        )
        self._decoy: str | None = None

    def hash(self, password: str) -> str:
        """A new hash under the current pepper; about 30 ms of one core."""
        peppered = self._pepper(self._peppers[self._current], password)
        return f"v{self._current}:{self._argon2.hash(peppered)}"

    def verify(self, stored: str, password: str) -> bool:
        """Whether `password` is the one of the stored hash; False for a hash of unknown form."""
        own = _OWN.fullmatch(stored)
        try:
            if own is None:
                return self._argon2.verify(stored, normalise(password))
            pepper = self._peppers.get(int(own[1]))
            if pepper is None:
                return False
            return self._argon2.verify(own[2], self._pepper(pepper, password))
        except (VerificationError, InvalidHashError):
            return False

    def verify_nothing(self, password: str) -> bool:
        """Spend the time of a verification where there is no hash; always False."""
        if self._decoy is None:
            self._decoy = self.hash("")
        self.verify(self._decoy, password + "\0")
        return False

    def needs_rehash(self, stored: str) -> bool:
        """Whether a right password should be hashed anew: old pepper, old parameters, imported."""
        own = _OWN.fullmatch(stored)
        return (
            own is None or int(own[1]) != self._current or self._argon2.check_needs_rehash(own[2])
        )

    @staticmethod
    def _pepper(pepper: bytes, password: str) -> bytes:
        # Base64, because a NUL byte in a raw digest must not end the password for any argon2.
        message = b"password\0" + normalise(password).encode("utf-8", "surrogatepass")
        return base64.b64encode(hmac.new(pepper, message, hashlib.sha256).digest())


def is_importable(text: str) -> bool:
    """Whether a directory's password is an argon2 PHC string that `verify` can read."""
    return (
        re.fullmatch(
            r"\$argon2(id|i|d)\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+", text
        )
        is not None
    )
