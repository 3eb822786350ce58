"""Password hashes: argon2id over an HMAC, whose key (the pepper) is not stored with the hashes.

A dump of the table alone does not allow an offline attack.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ..domain.passwords import normalise

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two iterations, one degree of
# parallelism.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1

_OWN = re.compile(r"v([0-9]+):(\$argon2id\$.+)", re.ASCII | re.DOTALL)


class PasswordHasher:
    """Creates and verifies password hashes.

    Two kinds are stored: this class's `v<pepper version>:$argon2id$…`, and hashes of previous
    systems, without a pepper, in the forms of `foreign_hashes`. `needs_rehash` is true for each of
    the latter, so that the first right password replaces it.
    """

    def __init__(
        self,
        peppers: Mapping[int, bytes],
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
    ) -> None:
        """`peppers` has the keys by version, the current one first.

        `memory_kib` is in KiB; `passes` is argon2's number of iterations.
        """
        self._peppers = dict(peppers)
        self._current = next(iter(self._peppers))
        self._memory_kib = memory_kib
        self._passes = passes
        # A hash in the current form that no known password has.
        salt, tag = (base64.b64encode(bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._decoy = (
            f"v{self._current}:$argon2id$v=19$m={memory_kib},t={passes},p={LANES}${salt}${tag}"
        )

    @cached_property
    def _argon2(self) -> Argon2:
        # Imported at the first hash: the first step of a recovery has none.
        from argon2 import PasswordHasher as Argon2

        return Argon2(
            time_cost=self._passes,
            memory_cost=self._memory_kib,
            parallelism=LANES,
            hash_len=32,
            salt_len=16,
        )

    def hash(self, password: str) -> str:
        """Return a new hash under the current pepper; about 30 ms of CPU time."""
        peppered = self._pepper(self._peppers[self._current], password)
        return f"v{self._current}:{self._argon2.hash(peppered)}"

    def verify(self, stored: str, password: str) -> bool:
        """Return whether the password has the stored hash; False for a hash of unknown form."""
        own = _OWN.fullmatch(stored)
        if own is None:
            from . import foreign_hashes

            text = normalise(password).encode("utf-8", "surrogatepass")
            return foreign_hashes.verify(stored, text)
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            pepper = self._peppers.get(int(own[1]))
            if pepper is None:
                return False
            return self._argon2.verify(own[2], self._pepper(pepper, password))
        except (VerificationError, InvalidHashError):
            return False

    def verify_nothing(self, password: str) -> bool:
        """Take the time of a verification if there is no hash, and return False."""
        self.verify(self._decoy, password)
        return False

    def needs_rehash(self, stored: str) -> bool:
        """Return whether the hash is to be replaced: old pepper, old parameters, or imported."""
        own = _OWN.fullmatch(stored)
        return (
            own is None or int(own[1]) != self._current or self._argon2.check_needs_rehash(own[2])
        )

    @staticmethod
    def _pepper(pepper: bytes, password: str) -> bytes:
        # Base64, since some argon2 implementations end the password at a NUL byte.
        message = b"password\0" + normalise(password).encode("utf-8", "surrogatepass")
        return base64.b64encode(hmac.new(pepper, message, hashlib.sha256).digest())
