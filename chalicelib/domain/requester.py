"""Who sends a request, as the limits and the audit identify them."""

from __future__ import annotations

from typing import NamedTuple


class Requester(NamedTuple):
    """A visitor: a WeChat, or a network address, behind which a whole office may be."""

    id: str
    """The keyed digest of `security.requesters`."""
    is_address: bool
    """Whether the visitor was identified by the network address alone."""
