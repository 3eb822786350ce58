"""Counts that belong to no login: service-wide budgets, and values that may be used once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, HOUR
from .dynamo import ConditionFailed, update
from .models import BudgetItem, OnceItem

log = logging.getLogger(__name__)


class Budget:
    """A limit of `limit` events per clock hour over all instances.

    It bounds attacks that are spread over many logins and addresses. On average one event in
    `limit // 100` is written, and counts for that many, so that most requests need no write and
    no single item is written by each of them. A limit below 200 is counted exactly.
    """

    def __init__(self, name: str, limit: int, randbelow: Callable[[int], int]) -> None:
        """`name` is the budget's in logs; `randbelow` is `secrets.randbelow` outside tests."""
        self._name = name
        self._limit = limit
        self._stride = max(1, limit // 100)
        self._randbelow = randbelow
        self._full_hour = -1

    def check(self, now: int) -> None:
        """Raise TooManyRequests if this instance has seen the budget used up this hour.

        `now` in epoch seconds. No call to DynamoDB.
        """
        if self._full_hour == now // HOUR:
            raise TooManyRequests(HOUR - now % HOUR, f"service-{self._name}")

    def count(self, now: int) -> None:
        """Count one event at `now`, epoch seconds.

        Raises TooManyRequests if the budget was used up before, Unavailable.
        """
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
