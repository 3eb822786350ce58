"""The limits of one requester over all logins, within one process.

Recoveries are counted here when they start, without a call to the store. The sends of codes count a
requester's logins over all processes, and in the cloud the WAF counts the starts of an address.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, Limits, Window, retry_after
from ..domain.requester import Requester

log = logging.getLogger(__name__)

_REQUESTERS = 10_000
"""Requesters kept at most; the one unseen for longest is dropped first."""


class _Seen(NamedTuple):
    """What one requester did."""

    starts: list[int]
    """Epoch seconds, newest first."""
    logins: dict[str, int]
    """Last start of each login, epoch seconds."""


class StartLimiter:
    """Counts the starts of an address, and the distinct logins of every requester."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, requester: Requester, login: str, now: int) -> None:
        """Count one start. Raises TooManyRequests, without counting, where a limit is reached.

        `login` need not exist; `now` in epoch seconds. Logs the alarm `requester-logins` when a
        requester reaches half of its logins.
        """
        with self._lock:
            seen = self._seen.pop(requester.id, _Seen([], {}))
            self._seen[requester.id] = seen
            if len(self._seen) > _REQUESTERS:
                self._seen.popitem(last=False)
            self._count(seen, requester, login, now)

    def _count(self, seen: _Seen, requester: Requester, login: str, now: int) -> None:
        if requester.is_address:
            windows = self._limits.starts_per_address
            if wait := retry_after(seen.starts, windows, now):
                raise TooManyRequests(wait, "address-starts")
        for other in [other for other, at in seen.logins.items() if at <= now - DAY]:
            del seen.logins[other]
        most = self._limits.of_requester(
            self._limits.logins_per_requester_day, is_address=requester.is_address
        )
        if login not in seen.logins:
            times = sorted(seen.logins.values(), reverse=True)
            if wait := retry_after(times, [Window(most, DAY)], now):
                raise TooManyRequests(wait, "requester-logins")
            if 2 * len(seen.logins) < most <= 2 * len(seen.logins) + 2:
                log.error(
                    "a requester starts recoveries of many logins",
                    extra={"alarm": "requester-logins"},
                )
        seen.logins[login] = now
        if requester.is_address:
            seen.starts.insert(0, now)
            del seen.starts[self._limits.starts_per_address_hour :]
