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
    an import brought along from the old system and which has no pepper. `_verify_imported` is the
    place for further forms of an old system. Whatever is not ours is replaced at the first right
    password, as `needs_rehash` asks for.
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
        # In form a hash of today, and of no password that anybody knows.
        salt, tag = (base64.b64encode(bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._decoy = (
            f"v{self._current}:$argon2id$v=19$m={memory_kib},t={passes},p={LANES}${salt}${tag}"
        )

    def hash(self, password: str) -> str:
        """A new hash under the current pepper; about 30 ms of one core."""
        peppered = self._pepper(self._peppers[self._current], password)
        return f"v{self._current}:{self._argon2.hash(peppered)}"

    def verify(self, stored: str, password: str) -> bool:
        """Whether `password` is the one of the stored hash; False for a hash of unknown form."""
        own = _OWN.fullmatch(stored)
        try:
            if own is None:
                return self._verify_imported(stored, password)
            pepper = self._peppers.get(int(own[1]))
            if pepper is None:
                return False
            return self._argon2.verify(own[2], self._pepper(pepper, password))
        except (VerificationError, InvalidHashError):
            return False

    def verify_nothing(self, password: str) -> bool:
        """Spend the time of a verification where there is no hash; always False."""
        self.verify(self._decoy, password)
        return False

    def _verify_imported(self, stored: str, password: str) -> bool:
        """Whether the password is the one of a hash that an import brought along.

        argon2 alone, today. Another form of an old system is to be told apart here by how it
        begins (`$2b$`, `{SSHA}`) and compared in constant time; `infra.ops.enrolment` must then let
        it pass as an opening password.
        """
        return self._argon2.verify(stored, normalise(password))

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
