"""The result of a run: a table for people, and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.perf.load.answers import UNDISTURBED, Answers
from tests.perf.load.attacker import Attack
from tests.perf.load.reckoning import Responses

OUT = Path("artifacts/load.json")

_SHOWN = 40
"""Faults that are printed; of the others the number."""


@dataclass
class Result:
    """A run and what came of it."""

    options: dict[str, Any]
    seconds: float
    answers: Answers
    responses: Responses
    attack: Attack | None
    yearly: dict[str, Any] | None
    finished: Counter[str] = field(default_factory=Counter)
    """How people's last recoveries ended, after the faults."""
    lost: Sequence[str] = ()
    """Every discrepancy, a sentence each."""

    def totals(self) -> dict[str, int]:
        """Return the numbers of what people did."""
        responses = self.responses
        return {
            "calls": sum(
                each.n for steps in self.answers.figures().values() for each in steps.values()
            ),
            "codes_sent": responses.sent.total(),
            "passwords_set": sum(map(len, responses.passwords.values())),
            "unbound": responses.unbound.total(),
            "wrong_codes": responses.wrong_codes.total(),
            "refused_within_own_limits": sum(map(len, responses.refusals.values())),
            "in_doubt": sum(each.total() for each in responses.doubts.values()),
        }

    def as_json(self) -> dict[str, Any]:
        """Return everything that is measured, for a file."""
        figures = self.answers.figures()
        return {
            "options": self.options,
            "seconds": round(self.seconds, 1),
            "totals": self.totals(),
            "milliseconds": {
                phase: {step: asdict(each) for step, each in steps.items()}
                for phase, steps in figures.items()
            },
            "answers": self.answers.counts(),
            "faults_s": {
                each.name: round((each.ended_at or 0) - (each.began_at or 0), 1)
                for each in self.answers.outages.all
            },
            "first_success_s": self.answers.first_successes(),
            "codes_that_did_not_arrive": dict(self.responses.lost_codes),
            "last_recoveries": dict(self.finished),
            "attack": None
            if self.attack is None
            else {"accepted": dict(self.attack.accepted), "refused": dict(self.attack.refused)},
            "yearly": self.yearly,
            "lost": list(self.lost),
        }

    def write(self, path: Path = OUT) -> None:
        """Write the JSON."""
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(self.as_json(), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", "utf-8")

    def lines(self) -> Iterable[str]:
        """Yield the lines of the report."""
        figures = self.answers.figures()
        outages = [each.name for each in self.answers.outages.all]
        yield from _table(figures, UNDISTURBED)
        for name in outages:
            yield from _table(figures, name)
            yield from self._of_fault(name)
        totals = ", ".join(
            f"{name.replace('_', ' ')} {count}" for name, count in self.totals().items()
        )
        yield f"\nin {self.seconds:.0f} s: {totals}"
        if self.finished:
            yield f"last recoveries after the faults: {_listed(self.finished)}"
        if self.attack is not None:
            accepted, refused = _listed(self.attack.accepted), _listed(self.attack.refused)
            yield f"attacker: accepted {accepted}; refused {refused}"
        if self.yearly is not None:
            yield f"yearly run: {_listed(self.yearly)}"
        yield from (f"  {fault}" for fault in self.lost[:_SHOWN])
        if len(self.lost) > _SHOWN:
            yield f"  and {len(self.lost) - _SHOWN} more"
        yield (
            f"{len(self.lost)} faults"
            if self.lost
            else "nothing was lost, no limit exceeded, nobody refused but the attacker"
        )

    def _of_fault(self, name: str) -> Iterable[str]:
        by_answer: Counter[str] = Counter()
        for counts in self.answers.counts().get(name, {}).values():
            by_answer.update(counts)
        yield f"answers: {_listed(by_answer)}"
        first = self.answers.first_successes().get(name, {})
        yield f"seconds to the first success after the end: {_listed(first)}"


def _table(figures: Mapping[str, Mapping[str, Any]], phase: str) -> Iterable[str]:
    yield f"\n{phase:<28}{'n':>7}{'p50':>10}{'p99':>10} ms"
    for step, each in figures.get(phase, {}).items():
        yield f"{step:<28}{each.n:>7}{each.p50:>10.0f}{each.p99:>10.0f}"


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"
