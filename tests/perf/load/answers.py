"""What callers saw: answers and times of each kind of call, during each fault and without one."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.perf.load.outages import Outage, Outages

UNDISTURBED = "undisturbed"
"""The phase of calls that no fault covers."""

LONGEST_S = 10
"""The time-out of the API's function: a later answer is none in the cloud."""


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return the value below which `part` of the ordered values lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@dataclass(frozen=True)
class Figures:
    """Number of calls of one kind, and their times in milliseconds."""

    n: int
    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Figures:
        """Return the figures of times in seconds; there must be at least one."""
        ordered = sorted(1_000 * each for each in seconds)
        return cls(
            len(ordered), round(statistics.median(ordered), 1), round(percentile(ordered, 0.99), 1)
        )


@dataclass
class Answers:
    """The answers to all callers of a run."""

    outages: Outages = field(default_factory=Outages)
    errors: Counter[str] = field(default_factory=Counter)
    """Answers that nothing explains, and other faults, by what went wrong."""
    guard: threading.Lock = field(default_factory=threading.Lock)
    _times: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    _counts: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    _first: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def record(
        self, step: str, answer: str, began: float, ended: float, *, longest: float = LONGEST_S
    ) -> Outage | None:
        """Record an answer such as `429 too-many-requests`; return the fault that covers the call.

        Times are those of `time.monotonic`. An answer below 400 is a success; one that took more than
        `longest` seconds is an error.
        """
        outage = self.outages.during(began, ended)
        phase = UNDISTURBED if outage is None else outage.name
        with self.guard:
            self._times[phase][step].append(ended - began)
            self._counts[phase][step][answer] += 1
            if ended - began > longest:
                self.errors[f"{step}: an answer after more than {longest} s"] += 1
        if "1" < answer < "4":
            self.succeeded(step, ended)
        return outage

    def succeeded(self, step: str, at: float) -> None:
        """Record a success, for the time from a fault's end to the first one after it."""
        with self.guard:
            for outage in self.outages.all:
                if outage.ended_at is not None and at >= outage.ended_at:
                    self._first[outage.name].setdefault(step, at - outage.ended_at)

    def error(self, what: str) -> None:
        """Record something that may not happen."""
        with self.guard:
            self.errors[what] += 1

    def figures(self) -> dict[str, dict[str, Figures]]:
        """Return the figures by phase and step."""
        with self.guard:
            return {
                phase: {step: Figures.of(times) for step, times in sorted(steps.items())}
                for phase, steps in self._times.items()
            }

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the numbers of answers by phase, step and answer."""
        with self.guard:
            return {
                phase: {step: dict(counts) for step, counts in sorted(steps.items())}
                for phase, steps in self._counts.items()
            }

    def first_successes(self) -> dict[str, dict[str, float]]:
        """Return the seconds from each fault's end to the first success of each step after it."""
        with self.guard:
            return {
                name: {step: round(seconds, 2) for step, seconds in sorted(steps.items())}
                for name, steps in self._first.items()
            }


def answer_of(status: int, body: dict[str, Any]) -> str:
    """Return the name of an answer: its status, with the code of a problem."""
    code = body.get("code") if status >= 400 else None
    return f"{status} {code}" if code else str(status)
