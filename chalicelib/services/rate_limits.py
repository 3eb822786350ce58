"""The limit on one address, within one process.

In the cloud the WAF counts addresses before a function runs, and this limit is the second line.
Elsewhere it is the only one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ..domain.errors import TooManyRequests
from ..domain.limits import Window, retry_after

_ADDRESSES = 10_000
"""Addresses kept at most; the one unseen for longest is dropped first."""


class AddressLimiter:
    """Counts events by address in sliding windows."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)
        self._most = max(window.limit for window in windows)
        self._seen: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, address: str, now: int) -> None:
        """Count one event. Raises TooManyRequests, without counting, where a window is full."""
        with self._lock:
            events = self._seen.pop(address, [])
            self._seen[address] = events
            if len(self._seen) > _ADDRESSES:
                self._seen.popitem(last=False)
            wait = retry_after(events, self._windows, now)
            if wait:
                raise TooManyRequests(wait, "address-starts")
            self._seen[address] = [now, *events][: self._most]
