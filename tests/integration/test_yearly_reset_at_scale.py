"""The yearly reset on DynamoDB Local: many firms, killed workers and repeated messages.

`RESET_FIRMS=12000` runs it for as many firms as there are, in some minutes.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.services.yearly_reset import available_cores
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import Report
from tests.support.yearly_reset import (
    YEAR,
    Crash,
    ResetWorld,
    add_logins,
    client,
    interrupted,
)

FIRMS = int(os.environ.get("RESET_FIRMS", "600"))
THREADS = 4
# One call in so many kills its worker.
KILL_RATE = 40


@pytest.fixture
def reset(real_yearly: ResetWorld) -> ResetWorld:
    """A world on DynamoDB Local."""
    return real_yearly


def _work_with_crashes(reset: ResetWorld, dice: random.Random) -> int:
    """Deliver each batch up to three times concurrently and kill workers at random.

    Return the number of killed workers.
    """
    killed: list[int] = []

    def attempt(messages: list[dict[str, Any]]) -> set[str]:
        try:
            return reset.invoke(messages, receives=1)
        except Crash:
            killed.append(1)
            return {message["MessageId"] for message in messages}

    def fault(_: str) -> BaseException | None:
        return Crash() if dice.random() < 1 / KILL_RATE else None

    with (
        ThreadPoolExecutor(THREADS) as pool,
        interrupted([client()], fault, after=False),
        interrupted([client()], fault, after=True),
    ):
        while batches := [batch for _ in range(THREADS) if (batch := reset.receive())]:
            tries = [batch for batch in batches for _ in range(dice.randint(1, 3))]
            dice.shuffle(tries)
            answers = list(pool.map(attempt, tries))
            for batch in batches:
                results = [
                    answer for tried, answer in zip(tries, answers, strict=True) if tried is batch
                ]
                reset.delete(batch, set.intersection(*results))
    return len(killed)


def test_each_login_is_reset_once_in_spite_of_crashes(reset: ResetWorld, report: Report) -> None:
    """Killed workers, repeated deliveries, two concurrent starts: one run, each finance login once."""
    add_logins(FIRMS)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: reset.story.start(YEAR, "schedule"), range(2)))
    killed = _work_with_crashes(reset, random.Random(1))
    # A second start queues the chunks whose messages were lost.
    reset.story.start(YEAR, "schedule")
    reset.work()
    assert killed
    finance = main = 0
    for login in LoginItem.scan(page_size=1_000):
        if login.login.endswith("_cw"):
            finance += 1
            assert (login.password_version, login.reset_year) == (2, YEAR)
            assert login.must_change
        else:
            main += 1
            assert (login.password_version, login.password_hash) == (1, "old")
    assert finance == main == FIRMS
    events = Counter(event.login for event in AuditItem.scan(page_size=1_000))
    assert len(events) == FIRMS
    assert set(events.values()) == {1}
    assert reset.adds_up()
    run = reset.story.status(YEAR)
    assert run is not None
    assert (run.logins, run.done) == (FIRMS, FIRMS)
    # A worker that is killed between the announcement and its record causes a second one.
    assert 1 <= len(reset.announcements()) <= 2
    report(f"yearly reset of {FIRMS} firms: {killed} workers killed")


def test_planning_needs_no_more_memory_for_more_logins(reset: ResetWorld) -> None:
    """The plan has one page of logins in memory at a time."""
    peaks: list[int] = []
    for first, count in ((21_000_000, 600), (22_000_000, 1_800)):
        add_logins(count, first=first)
        tracemalloc.start()
        reset.story.start(YEAR if not peaks else YEAR - 1, "schedule")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Four times the logins; a list of them all would take more.
    assert peaks[1] < 1.6 * peaks[0]


def test_without_an_affinity_all_cores_of_the_machine_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on macOS, where the local stack runs as well."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == 3
