"""Counts that belong to no login: service-wide budgets, and values that may be used once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, HOUR
from .dynamo import ConditionFailed, update
from .models import BudgetItem, OnceItem

log = logging.getLogger(__name__)

# Events of one instance that are written before it omits one. When the budget fills, an instance lets
# as many events pass as it omits: all of them together a twentieth of the budget.
_EXACT = 20


class Budget:
    """A limit of `limit` events per clock hour over all instances.

    It bounds attacks that are spread over many logins and addresses. An instance writes each of its
    first events of an hour. With every `_EXACT` of them it omits more writes, up to
    `limit // 100` events for one write, so that a busy instance seldom needs one. Events that it has
    not written are at most a fixed part of those it has, whatever the number of instances; from
    nine tenths of the limit on it writes each. A limit below 200 is counted exactly.
    """

    def __init__(self, name: str, limit: int, randbelow: Callable[[int], int]) -> None:
        """`name` is the budget's in logs; `randbelow` is `secrets.randbelow` outside tests."""
        self._name = name
        self._limit = limit
        self._most = max(1, limit // 100)
        self._randbelow = randbelow
        self._full_hour = -1
        self._hour = -1
        self._own = 0
        """This instance's events of the hour."""
        self._pending = 0
        """Those of them that it has not written."""
        self._known = 0
        """The count that its last write returned."""
        self._lock = threading.Lock()

    def is_full(self, now: int) -> bool:
        """Return whether this instance has seen the budget used up this hour.

        `now` in epoch seconds. No call to DynamoDB.
        """
        return self._full_hour == now // HOUR

    def check(self, now: int) -> None:
        """Raise TooManyRequests if `is_full(now)`."""
        if self.is_full(now):
            raise TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")

    def count(self, now: int) -> None:
        """Count one event at `now`, epoch seconds.

        Raises TooManyRequests if the budget was used up before, Unavailable.
        """
        self.check(now)
        hour = now // HOUR
        with self._lock:
            stride, events = self._counted_here(hour)
            if self._randbelow(stride):
                return
            self._pending = 0
        item = BudgetItem(f"budget#{self._name}#{hour}")
        counted = update(
            item,
            [
                BudgetItem.total.add(events),
                BudgetItem.expires_at.set((hour + 2) * HOUR),
            ],
        )
        self._known = count = int(counted.total)
        if count > self._limit:
            self._full_hour = hour
            log.error("budget is used up", extra={"alarm": f"budget-{self._name}"})
            raise TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")
        if count >= self._limit / 2 > count - events:
            log.error("half of the budget is used", extra={"alarm": f"budget-{self._name}-half"})

    def _counted_here(self, hour: int) -> tuple[int, int]:
        """Count one event of this instance.

        Returns its stride, the mean number of events for one write, and its events not yet written.
        """
        if self._hour != hour:
            self._hour, self._own, self._pending, self._known = hour, 0, 0, 0
        self._own += 1
        self._pending += 1
        if self._known >= self._limit * 0.9:
            return 1, self._pending
        return min(self._most, 1 + self._own // _EXACT), self._pending


def claim_once(kind: str, name: str, now: int, lifetime: int) -> bool:
    """Return whether this is the first use of the value identified by `kind` and `name`.

    The use is recorded for `lifetime` seconds, a day at most; by then the value itself must have
    expired. `now` in epoch seconds. Raises Unavailable.
    """
    item = OnceItem(f"{kind}#{name}")
    unused = OnceItem.id.does_not_exist() | (OnceItem.expires_at <= now)
    try:
        ends = now + min(lifetime, DAY)
        update(item, [OnceItem.expires_at.set(ends)], unused, lambda seen: seen.expires_at == ends)
    except ConditionFailed:
        return False
    return True
