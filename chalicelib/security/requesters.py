"""Keyed digests of requesters, so that the audit can relate events without personal data."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

_DIGITS = 16


class Requesters:
    """Makes the digest of a visitor: of the WeChat, elsewhere of the network address."""

    def __init__(self, pepper: bytes) -> None:
        """`pepper` keys the digests; with another one the same visitor has another digest."""
        self._pepper = pepper

    def mark(self, openid: str | None, address: str) -> str:
        """Return 16 hexadecimal digits for the openid, or for the address where it is None.

        An IPv4 address counts by itself, an IPv6 address by its /64, which one visitor has whole.
        """
        name = f"openid\0{openid}" if openid is not None else f"address\0{_network(address)}"
        message = b"requester\0" + name.encode("utf-8", "replace")
        return hmac.new(self._pepper, message, hashlib.sha256).hexdigest()[:_DIGITS]


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))
