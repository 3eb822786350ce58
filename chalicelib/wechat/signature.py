"""WeChat's signatures: SHA-1 over sorted parts, as its server configuration prescribes.

The parts are joined without a separator, so a signature says nothing about where one ends and the
next begins: digits moved from the nonce to the timestamp leave it right. Whoever relies on it must
therefore hold each part to a form of its own, which `well_formed` does. A nonce that looks like a
timestamp can still change places with it, so a signed timestamp proves no date.
"""

from __future__ import annotations

import hashlib
import hmac
import re

# Epoch seconds of the years 2001 to 2065; a fixed length gives the timestamp an edge.
_TIMESTAMP = re.compile(r"[12][0-9]{9}", re.ASCII)
_NONCE = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


def sign(*parts: str) -> str:
    """SHA-1 in hex over the sorted, joined parts; the token is one of them."""
    # SHA-1 is WeChat's choice.
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324  # nosec B324


def well_formed(timestamp: str | None, nonce: str | None) -> bool:
    """Whether both are of the form that WeChat sends."""
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
    """Whether the signature is right for its parts; compares in constant time, never raises.

    `encrypted` is the Encrypt element's text, for `msg_signature`; None for the plain `signature`.
    """
    # With an empty token anybody could sign.
    if not token or signature is None or not well_formed(timestamp, nonce):
        return False
    parts = [token, str(timestamp), str(nonce), *([] if encrypted is None else [encrypted])]
    try:
        return hmac.compare_digest(sign(*parts).encode(), signature.encode())
    except UnicodeEncodeError:
        return False
