"""WeChat's signatures: SHA-1 of the sorted parts. Source: WeChat's server configuration guide.

The parts are joined without a separator, so the signature does not protect their boundaries: digits
may move from the nonce to the timestamp. Therefore `well_formed` requires a fixed form of each part.
A nonce in the form of a timestamp can still be swapped with it, so a signed timestamp proves no
date.
"""

from __future__ import annotations

import hashlib
import hmac
import re

# Epoch seconds of the years 2001 to 2065; the fixed length sets the boundary.
_TIMESTAMP = re.compile(r"[12][0-9]{9}", re.ASCII)
_NONCE = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


def sign(*parts: str) -> str:
    """Return the SHA-1 in hex of the sorted, joined parts, one of which is the token."""
    # WeChat prescribes SHA-1.
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324  # nosec B324


def well_formed(timestamp: str | None, nonce: str | None) -> bool:
    """Return whether both have the form that WeChat sends."""
    return (
        timestamp is not None
        and nonce is not None
        and _TIMESTAMP.fullmatch(timestamp) is not None
        and _NONCE.fullmatch(nonce) is not None
    )


def is_right(
    signature: str | None,
    token: str,
    timestamp: str | None,
    nonce: str | None,
    encrypted: str | None = None,
) -> bool:
    """Return whether the signature is valid; compare in constant time, never raise.

    `encrypted` is the Encrypt element's text for `msg_signature`, and None for the plain `signature`.
    """
    # With an empty token anybody could sign.
    if not token or signature is None or not well_formed(timestamp, nonce):
        return False
    parts = [token, str(timestamp), str(nonce), *([] if encrypted is None else [encrypted])]
    try:
        return hmac.compare_digest(sign(*parts).encode(), signature.encode())
    except UnicodeEncodeError:
        return False
