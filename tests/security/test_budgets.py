"""Attack 73: a service-wide budget is not exceeded, however many instances there are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from chalicelib.domain.errors import TooManyRequests
from chalicelib.store import budgets
from chalicelib.store.budgets import Budget
from tests.security.mutation import SourceMutation, Together, attack

NOW = 1_800_000_000
LIMIT = 1_000
"""The budget of wrong codes, which once let 11,010 events pass with 1,000 instances."""


def by_chance(instances: int, events: int, source: random.Random) -> Iterator[int]:
    """Yield the instance of each event, each time any one."""
    return (source.randrange(instances) for _ in range(events))


def in_turn(instances: int, events: int, _: random.Random) -> Iterator[int]:
    """Yield each instance for several events in a row."""
    return (number // 15 % instances for number in range(events))


def passed(spread: object, instances: int, events: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many of the events the budget lets pass, over all instances."""
    total = 0

    def update(_: object, actions: list[object], *__: object) -> SimpleNamespace:
        nonlocal total
        total += int(actions[0].values[1].value["N"])  # type: ignore[attr-defined]
        return SimpleNamespace(total=total)

    monkeypatch.setattr(budgets, "update", update)
    source = random.Random(instances)
    among = [Budget("wrong-codes", LIMIT, source.randrange) for _ in range(instances)]
    count = 0
    for number in spread(instances, events, source):  # type: ignore[operator]
        try:
            among[number].count(NOW)
        except TooManyRequests:
            continue
        count += 1
    return count


@attack(
    73,
    SourceMutation(Budget._counted_here, "min(self._most, 1 + self._own // _EXACT)", "self._most"),
    Together(
        SourceMutation(Budget.add, "self._full_hour = hour", "pass"),
        SourceMutation(Budget._counted_here, "limit * 0.9 <= self._known <= limit", "False"),
    ),
)
def test_a_budget_is_exceeded_by_less_than_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one, 50, 200 and 1,000 instances, by chance or one after another; nor is it cut short."""
    for instances in (1, 50, 200, 1_000):
        for spread in (by_chance, in_turn):
            count = passed(spread, instances, 30_000, monkeypatch)
            assert LIMIT <= count < LIMIT * 1.1, (instances, spread.__name__, count)


def test_a_busy_instance_omits_most_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 800 events it writes fewer than 250; counted they are all, but for the last few."""
    writes: list[int] = []

    def update(_: object, actions: list[object], *__: object) -> SimpleNamespace:
        writes.append(int(actions[0].values[1].value["N"]))  # type: ignore[attr-defined]
        return SimpleNamespace(total=sum(writes))

    monkeypatch.setattr(budgets, "update", update)
    budget = Budget("wrong-codes", LIMIT, random.Random(1).randrange)
    for _ in range(800):
        budget.count(NOW)
    assert len(writes) < 250
    assert 740 < sum(writes) <= 800
