"""The yearly reset on Amazon's own DynamoDB Local: many firms, and the worst of nights.

`RESET_FIRMS=12000` runs it at the size of the country, which takes some minutes.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import Tell
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
# One call in so many kills the worker that makes it.
DEADLY = 40


@pytest.fixture
def reset(real_yearly: ResetWorld) -> ResetWorld:
    """A world on DynamoDB Local."""
    return real_yearly


def _worst_of_nights(reset: ResetWorld, dice: random.Random) -> int:
    """Each batch up to three times and in parallel, workers killed at random; how many were."""
    killed: list[int] = []

    def attempt(messages: list[dict[str, Any]]) -> set[str]:
        try:
            return reset.invoke(messages, receives=1)
        except Crash:
            killed.append(1)
            return {message["MessageId"] for message in messages}

    def fault(_: str) -> BaseException | None:
        return Crash() if dice.random() < 1 / DEADLY else None

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
                given = [
                    answer for tried, answer in zip(tries, answers, strict=True) if tried is batch
                ]
                reset.delete(batch, set.intersection(*given))
    return len(killed)


def test_the_worst_of_nights_sets_each_login_once(reset: ResetWorld, tell: Tell) -> None:
    """Killed workers, triple deliveries, two starts at once: one run, each finance login set once."""
    add_logins(FIRMS)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: reset.story.start(YEAR, "schedule"), range(2)))
    killed = _worst_of_nights(reset, random.Random(1))
    # What the queue gave up, a second start takes up.
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
    # A worker that dies between telling and noting it makes the next one tell again.
    assert 1 <= len(reset.announcements()) <= 2
    tell(f"yearly reset of {FIRMS} firms: {killed} workers killed")


def test_planning_needs_no_more_memory_for_more_logins(reset: ResetWorld) -> None:
    """The plan holds a page of logins at a time, however many there are."""
    peaks: list[int] = []
    for first, count in ((21_000_000, 600), (22_000_000, 1_800)):
        add_logins(count, first=first)
        tracemalloc.start()
        reset.story.start(YEAR if not peaks else YEAR - 1, "schedule")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Four times the logins; a list of them all would show.
    assert peaks[1] < 1.6 * peaks[0]
