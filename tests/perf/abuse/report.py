"""The results of the attacks as a table."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

HEADERS = (
    "attack",
    "by",
    "aim reached",
    "requests",
    "CPU s",
    "seen",
    "a fresh visitor recovers",
    "the owner recovers",
)


@dataclass(frozen=True)
class Result:
    """The cost and the effect of one attack."""

    name: str
    aim: str
    attacker: str
    reached: bool
    partly: bool
    """Whether it was reached for a part of the time only."""
    requests: int
    derivations: int
    """Derivations of PBKDF2 in the attacker's proofs of work."""
    cpu_s: float
    """CPU seconds of these derivations."""
    seen: str
    visitor: str
    """Whether the owner of a login that was not attacked can recover it and sign in."""
    owner: str
    """The same for the owner of an attacked login."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        return (
            f"{self.name} {self.aim}",
            self.attacker,
            "yes" if self.reached else "partly" if self.partly else "no",
            f"{self.requests:,}",
            f"{self.cpu_s:,.1f}",
            self.seen,
            self.visitor,
            self.owner,
        )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def table(results: Sequence[Result]) -> str:
    """Return a table in Markdown whose columns are aligned."""
    rows = [HEADERS, *(result.cells for result in results)]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
