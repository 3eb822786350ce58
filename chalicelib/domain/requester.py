"""Who sends a request, as the limits and the audit identify them."""

from __future__ import annotations

from typing import NamedTuple


class Requester(NamedTuple):
    """A visitor: a WeChat, or a network address, behind which a whole office may be."""

    id: str
    """The keyed digest of `security.requesters`."""
    is_address: bool
    """Whether the visitor was identified by the network address alone."""

    @property
    def key(self) -> str:
        """The name of the requester's counts, which shows whether the figures of an address apply."""
        return ADDRESS + self.id if self.is_address else self.id


ADDRESS = "address:"
"""Prefix of the keys of addresses."""


def is_address_key(key: str) -> bool:
    """Return whether a `Requester.key` is that of an address."""
    return key.startswith(ADDRESS)
