"""One-time codes of six or eight digits; they are compared by a keyed digest."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

LIFETIME = 300
"""Seconds for which a code is valid."""

DIGITS = 6
LONG_DIGITS = 8
"""The length of a code of a login whose codes are being guessed."""


class SentCode(NamedTuple):
    """A live code that was sent for the visitor that the response goes to. Times in seconds."""

    delivery: str
    """`sent`, or `pull` where the person fetches the code in the Official Account."""
    expires_in: int
    resend_in: int
    """Until another code may be sent to the same destination; 0 where it may be sent now."""


def generate(randbelow: Callable[[int], int], digits: int = DIGITS) -> str:
    """Return a uniformly random code; `randbelow` is `secrets.randbelow` outside tests."""
    return f"{randbelow(10**digits):0{digits}d}"


def digest(code: str, *, login: str, method: str, purpose: str, version: int, pepper: bytes) -> str:
    """Return `version:hex`, an HMAC-SHA256 over the code, login, method and purpose.

    `version` is the version of `pepper`, the key.
    """
    # Without length prefixes ("ab", "c") and ("a", "bc") would have the same digest.
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
    """Return whether the code has the stored digest, by a comparison in constant time.

    `stored` is a result of `digest`; `peppers` has the keys by version. A digest whose version is
    not in `peppers` never matches.
    """
    version = int(stored.partition(":")[0])
    pepper = peppers.get(version)
    if pepper is None:
        return False
    made = digest(code, login=login, method=method, purpose=purpose, version=version, pepper=pepper)
    return hmac.compare_digest(made, stored)
