"""Counts that belong to nobody in particular: service-wide budgets and things used once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, HOUR
from .dynamo import ConditionFailed, update
from .models import BudgetItem, OnceItem

log = logging.getLogger(__name__)


class Budget:
    """At most `limit` events an hour over all instances; the second net, under a spray.

    One event in `stride` is written, for `stride` events at once. That keeps one item from being
    written by every request and costs no round trip as a rule; the count stays right on average,
    and a budget of less than two hundred is exact.
    """

    def __init__(self, name: str, limit: int, randbelow: Callable[[int], int]) -> None:
        self._name = name
        self._limit = limit
        self._stride = max(1, limit // 100)
        self._randbelow = randbelow
        self._full_hour = -1

    def check(self, now: int) -> None:
        """Raise TooManyRequests where this instance knows that the hour's budget is used up."""
        if self._full_hour == now // HOUR:
            raise TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")

    def count(self, now: int) -> None:
        """Count one event. Raises TooManyRequests where the budget was used up before it."""
        self.check(now)
        if self._randbelow(self._stride):
            return
        hour = now // HOUR
        item = BudgetItem(f"budget#{self._name}#{hour}")
        counted = update(
            item,
            [
                BudgetItem.total.add(self._stride),
                BudgetItem.expires_at.set((hour + 2) * HOUR),
            ],
        )
        count = int(counted.total)
        if count > self._limit:
            self._full_hour = hour
            log.error("budget is used up", extra={"alarm": f"budget-{self._name}"})
            raise TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")
        if count >= self._limit / 2 > count - self._stride:
            log.error("half of the budget is used", extra={"alarm": f"budget-{self._name}-half"})


def claim_once(kind: str, name: str, now: int, lifetime: int) -> bool:
    """Whether this is the first use of a thing named by `kind` and `name`.

    The memory lasts for `lifetime` seconds, after which the thing must have ended by itself.
    """
    item = OnceItem(f"{kind}#{name}")
    unused = OnceItem.id.does_not_exist() | (OnceItem.expires_at <= now)
    try:
        ends = now + min(lifetime, DAY)
        update(item, [OnceItem.expires_at.set(ends)], unused, lambda seen: seen.expires_at == ends)
    except ConditionFailed:
        return False
    return True
