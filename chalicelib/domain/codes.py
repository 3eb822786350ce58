"""One-time codes: six digits, of which only a keyed digest is ever stored."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

LIFETIME = 300
"""Seconds that a code may be used for."""

DIGITS = 6


def generate(randbelow: Callable[[int], int]) -> str:
    """A uniformly random code; `randbelow` is `secrets.randbelow` outside tests."""
    return f"{randbelow(10**DIGITS):0{DIGITS}d}"


def digest(code: str, *, login: str, method: str, purpose: str, version: int, pepper: bytes) -> str:
    """`version:hex`, an HMAC-SHA256 that is only right for this login, method and purpose."""
    # Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    message = b"".join(
        len(part).to_bytes(2, "big") + part
        for part in (text.encode() for text in ("code", login, method, purpose, code))
    )
    return f"{version}:{hmac.new(pepper, message, hashlib.sha256).hexdigest()}"


def matches(
    code: str,
    stored: str,
    *,
    login: str,
    method: str,
    purpose: str,
    peppers: Mapping[int, bytes],
) -> bool:
    """Compare in constant time with the stored digest, under the pepper it was made with.

    `peppers` maps versions to keys; a digest of a version that has been retired never matches.
    """
    version = int(stored.partition(":")[0])
    pepper = peppers.get(version)
    if pepper is None:
        return False
    made = digest(code, login=login, method=method, purpose=purpose, version=version, pepper=pepper)
    return hmac.compare_digest(made, stored)
