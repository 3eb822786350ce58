"""Call the scheduled functions of `app.py` when their time passes on the local stack's clock."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger(__name__)

Function = Callable[[dict[str, Any], Any], Any]

PAUSE = 1.0
"""Seconds between two looks at the clock."""

_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12))


@dataclass(frozen=True)
class CronExpression:
    """An EventBridge cron expression, in UTC: minutes, hours, days, months and years.

    A field is `*` or a list of numbers. Days of the week are not supported.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    years: frozenset[int] | None

    @classmethod
    def parse(cls, text: str) -> CronExpression:
        """Return the expression in `cron(…)`. Raises ValueError for one that is not supported."""
        fields = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) ([?*]) (\S+)\)", text)
        if fields is None:
            raise ValueError(f"not a supported schedule: {text}")
        *first, _, year = fields.groups()
        minutes, hours, days, months = (
            _numbers(field, *limit) for field, limit in zip(first, _LIMITS, strict=True)
        )
        years = None if year == "*" else _numbers(year, 1970, 2199)
        return cls(minutes, hours, days, months, years)

    def last_between(self, after: int, until: int) -> int | None:
        """Return the last time in (`after`, `until`], epoch seconds; None where there is none."""
        day = datetime.fromtimestamp(until, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day.timestamp() + 86_400 > after:
            if self._is_on(day):
                for at in self._times_on(day):
                    if after < at <= until:
                        return at
            day -= timedelta(days=1)
        return None

    def _is_on(self, day: datetime) -> bool:
        in_year = self.years is None or day.year in self.years
        return in_year and day.month in self.months and day.day in self.days

    def _times_on(self, day: datetime) -> Iterator[int]:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                yield int(day.replace(hour=hour, minute=minute).timestamp())


def _numbers(field: str, least: int, most: int) -> frozenset[int]:
    if field in ("*", "?"):
        return frozenset(range(least, most + 1))
    numbers = frozenset(int(part) for part in field.split(","))
    if not all(least <= number <= most for number in numbers):
        raise ValueError(f"not a supported schedule: {field}")
    return numbers


@dataclass(frozen=True)
class Schedule:
    """A function and the times at which it is called."""

    name: str
    expression: CronExpression
    function: Function


def schedules(app: Any, functions: Any) -> list[Schedule]:
    """Return the schedules of a Chalice app; `functions` is the module with its entry points."""
    return [
        Schedule(
            source.name,
            CronExpression.parse(source.schedule_expression.to_string()),
            getattr(functions, source.handler_string.rpartition(".")[2]),
        )
        for source in app.event_sources
        if hasattr(source, "schedule_expression")
    ]


class Scheduler:
    """Calls scheduled functions in a background thread, as EventBridge does.

    Where the clock has passed several times of a schedule at once, the function is called for the
    last one.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        clock: Callable[[], int],
        context: Callable[[str], Any] = lambda name: None,
    ) -> None:
        """`context` returns the Lambda context for a function's name."""
        self._schedules = schedules
        self._clock = clock
        self._context = context
        self._guard = threading.Lock()
        self._checked_until = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Start in the background, from the clock's present time on."""
        self.forget()
        self._thread.start()

    def close(self) -> None:
        """Stop; a call in progress is completed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def forget(self) -> None:
        """Continue from the clock's present time, after it has been set back."""
        with self._guard:
            self._checked_until = self._clock()

    def check(self) -> None:
        """Call every function whose time has passed since the last check."""
        with self._guard:
            after, until = self._checked_until, self._clock()
            if until <= after:
                return
            self._checked_until = until
            for schedule in self._schedules:
                at = schedule.expression.last_between(after, until)
                if at is not None:
                    self._call(schedule, at)

    def _call(self, schedule: Schedule, at: int) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "",
            "time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "",
            "resources": [],
            "detail": {},
        }
        try:
            schedule.function(event, self._context(schedule.name))
        except Exception:
            log.exception("function %s failed", schedule.name)

    def _work(self) -> None:
        while not self._ended.wait(PAUSE):
            self.check()
