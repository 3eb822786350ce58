"""Keyed digests of requesters: limits and the audit relate events without personal data."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

from ..domain.requester import Requester

_DIGITS = 16


class Requesters:
    """Identifies visitors: by their WeChat, elsewhere by the network address."""

    def __init__(self, pepper: bytes) -> None:
        """`pepper` keys the digests; with another one the same visitor has another digest."""
        self._pepper = pepper

    def identify(self, openid: str | None, address: str) -> Requester:
        """Return the requester with this openid, or with this address where the openid is None.

        Its id has 16 hexadecimal digits. An IPv4 address counts by itself, an IPv6 address by its
        /64, which one visitor has whole.
        """
        is_address = openid is None
        name = f"address\0{_network(address)}" if is_address else f"openid\0{openid}"
        message = b"requester\0" + name.encode("utf-8", "replace")
        digest = hmac.new(self._pepper, message, hashlib.sha256).hexdigest()[:_DIGITS]
        return Requester(digest, is_address)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))
