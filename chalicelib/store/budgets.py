"""Counts that belong to no login: service-wide budgets, and values that may be used once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, HOUR
from .dynamo import ConditionFailed, update
from .ephemeral_models import BudgetItem, OnceItem

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
    nine tenths of a limit up to it, it writes each. A limit below 200 is counted exactly.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        randbelow: Callable[[int], int],
        hard_factor: int | None = None,
    ) -> None:
        """`name` is the budget's in logs; `randbelow` is `secrets.randbelow` outside tests.

        `hard_factor` times the limit is the count at which `is_exhausted`; None counts up to the limit
        alone.
        """
        self._name = name
        self._limit = limit
        self._hard_limit = None if hard_factor is None else limit * hard_factor
        self._limits = (limit,) if self._hard_limit is None else (limit, self._hard_limit)
        self._most = max(1, limit // 100)
        self._randbelow = randbelow
        self._full_hour = -1
        self._exhausted_hour = -1
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

    def is_exhausted(self, now: int) -> bool:
        """Return whether this instance has seen `hard_factor` times the budget used up this hour.

        `now` in epoch seconds. No call to DynamoDB.
        """
        return self._exhausted_hour == now // HOUR

    def check(self, now: int) -> None:
        """Raise TooManyRequests if `is_full(now)`."""
        if self.is_full(now):
            raise self.refusal(now)

    def refusal(self, now: int) -> TooManyRequests:
        """Return the refusal until the end of the hour."""
        return TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")

    def count(self, now: int) -> None:
        """Count one event at `now`, epoch seconds.

        Raises TooManyRequests if the budget was used up before, Unavailable.
        """
        self.check(now)
        self.add(now)
        self.check(now)

    def add(self, now: int) -> None:
        """Count one event at `now`, epoch seconds, also beyond the limit. Raises Unavailable.

        Without a hard limit nothing is written beyond the limit, with it nothing beyond the hard one.
        """
        if self.is_exhausted(now) or (self._hard_limit is None and self.is_full(now)):
            return
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
        if count > self._limit and not self.is_full(now):
            self._full_hour = hour
            log.error("budget is used up", extra={"alarm": f"budget-{self._name}"})
        if count >= self._limit / 2 > count - events:
            log.error("half of the budget is used", extra={"alarm": f"budget-{self._name}-half"})
        if self._hard_limit is not None and count > self._hard_limit:
            self._exhausted_hour = hour
            log.error("nothing more passes", extra={"alarm": f"budget-{self._name}-hard"})

    def _counted_here(self, hour: int) -> tuple[int, int]:
        """Count one event of this instance.

        Returns its stride, the mean number of events for one write, and its events not yet written.
        """
        if self._hour != hour:
            self._hour, self._own, self._pending, self._known = hour, 0, 0, 0
        self._own += 1
        self._pending += 1
        if any(limit * 0.9 <= self._known <= limit for limit in self._limits):
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
