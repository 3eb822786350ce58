"""The statistics of `python -m tests.perf.timing`."""

from __future__ import annotations

import random

from tests.perf.timing import compare, interleaved


def test_samples_of_one_kind_show_no_difference_and_shifted_ones_do() -> None:
    """The interval contains 0 in the one case, and the true shift in the other."""
    dice = random.Random(3)
    first, second = ([dice.gauss(30, 3) for _ in range(300)] for _ in range(2))
    assert not compare(first, second).differs
    found = compare([time + 2 for time in first], second)
    assert found.differs
    assert found.low < 2 < found.high


def test_both_cases_are_called_in_each_round_and_prepared_alike() -> None:
    """They alternate in either order; warm-up rounds are discarded."""
    calls: list[str] = []
    taken = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        40,
        lambda: calls.append("-"),
    )
    assert [len(samples.wall) for samples in taken.values()] == [40, 40]
    rounds = {"".join(calls[start : start + 4]) for start in range(0, len(calls), 4)}
    assert rounds == {"-a-b", "-b-a"}
