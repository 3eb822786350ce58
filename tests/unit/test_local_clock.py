"""The demo's clock, and the scheduled functions that run when it passes their time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import app
from infra.local.clock import MovableClock, next_new_year
from infra.local.schedules import CronExpression, Schedule, Scheduler, schedules

NEW_YEAR = int(datetime(2026, 12, 31, 16, tzinfo=UTC).timestamp())
YEARLY = CronExpression.parse("cron(0 16 31 12 ? *)")


def test_the_clock_moves_forward_and_returns() -> None:
    """It adds to the machine's time; a negative move is refused."""
    clock = MovableClock(lambda: 1_000.9)
    assert (clock(), clock.ahead) == (1_000, 0)
    clock.move(300)
    clock.move(60)
    assert (clock(), clock.ahead) == (1_360, 360)
    with pytest.raises(ValueError, match="forward"):
        clock.move(-1)
    clock.reset()
    assert clock() == 1_000


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NEW_YEAR - 1, NEW_YEAR),
        (NEW_YEAR - 300 * 86_400, NEW_YEAR),
        (NEW_YEAR, NEW_YEAR + 365 * 86_400),
    ],
)
def test_the_new_year_begins_in_beijing(now: int, expected: int) -> None:
    """16:00 UTC on 31 December; at that very second the next one is a year later."""
    assert next_new_year(now) == expected
    clock = MovableClock(lambda: now)
    clock.move_to_new_year()
    assert clock() == expected


def test_the_app_s_schedule_is_the_new_year() -> None:
    """The yearly reset's expression means 1 January, 00:00 in Beijing, once a year."""
    [schedule] = schedules(app.app, app)
    assert schedule.name == "yearly_reset"
    assert schedule.function is app.yearly_reset
    assert schedule.expression == YEARLY


@pytest.mark.parametrize(
    ("expression", "after", "until", "expected"),
    [
        (YEARLY, NEW_YEAR - 1, NEW_YEAR, NEW_YEAR),
        (YEARLY, NEW_YEAR, NEW_YEAR + 86_400, None),
        (YEARLY, NEW_YEAR - 86_400, NEW_YEAR - 1, None),
        (YEARLY, NEW_YEAR - 90_000, NEW_YEAR + 700_000, NEW_YEAR),
        (YEARLY, NEW_YEAR - 1, NEW_YEAR + 365 * 86_400, NEW_YEAR + 365 * 86_400),
        (
            CronExpression.parse("cron(0,30 * * * ? *)"),
            NEW_YEAR,
            NEW_YEAR + 1_900,
            NEW_YEAR + 1_800,
        ),
        (CronExpression.parse("cron(0 0 1 1 ? 2020)"), 0, NEW_YEAR, 1_577_836_800),
    ],
)
def test_the_last_time_that_has_passed(
    expression: CronExpression, after: int, until: int, expected: int | None
) -> None:
    """The beginning of the interval is excluded, its end included."""
    assert expression.last_between(after, until) == expected


@pytest.mark.parametrize(
    "text",
    ["rate(5 minutes)", "cron(0 16 31 12 MON *)", "cron(0 25 * * ? *)", "cron(*/5 * * * ? *)"],
)
def test_other_schedules_are_refused(text: str) -> None:
    """Rates, days of the week and steps are not supported, and no such schedule is skipped silently."""
    with pytest.raises(ValueError, match=r"not a supported schedule|invalid literal"):
        CronExpression.parse(text)


def test_a_function_is_called_once_with_the_schedule_s_time() -> None:
    """A move over the time calls it; after a return to the beginning it is called again."""
    clock = MovableClock(lambda: NEW_YEAR - 100)
    events: list[dict[str, Any]] = []

    def function(event: dict[str, Any], context: Any) -> None:
        assert context == "context of yearly"
        events.append(event)

    scheduler = Scheduler(
        [Schedule("yearly", YEARLY, function)], clock, lambda name: f"context of {name}"
    )
    scheduler.check()
    assert events == []
    clock.move(86_400)
    scheduler.check()
    scheduler.check()
    assert [event["time"] for event in events] == ["2026-12-31T16:00:00Z"]
    clock.reset()
    scheduler.forget()
    clock.move(86_400)
    scheduler.check()
    assert len(events) == 2


def test_a_failing_function_does_not_end_the_scheduler(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged."""
    clock = MovableClock(lambda: NEW_YEAR - 1)

    def failing(event: dict[str, Any], context: Any) -> None:
        raise RuntimeError("broken")

    scheduler = Scheduler([Schedule("yearly", YEARLY, failing)], clock)
    clock.move(1)
    scheduler.check()
    assert "function yearly failed" in caplog.text
