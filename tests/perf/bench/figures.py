"""The benchmarks' arithmetic and tables: pure, and tested."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the least sample that at least `share` (0 to 1) of the samples do not exceed: nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(samples: Sequence[float]) -> dict[str, float | int]:
    """Return the summary of a step's times, in the samples' unit."""
    return {
        "n": len(samples),
        "p50": round(percentile(samples, 0.50), 2),
        "p99": round(percentile(samples, 0.99), 2),
    }


def median(samples: Sequence[float]) -> float:
    """Return the median, to two places."""
    return round(statistics.median(samples), 2)


def line(first: tuple[float, float], last: tuple[float, float]) -> tuple[float, float]:
    """Return base and slope of the straight line through two measured points."""
    (x, y), (z, w) = first, last
    slope = (w - y) / (z - x)
    return y - slope * x, slope


def bend(points: Sequence[tuple[float, float]]) -> float:
    """Return the distance of the middle points from the line through the outer two, as a share; 0 is straight."""
    base, slope = line(points[0], points[-1])
    return max((abs(y / (base + slope * x) - 1) for x, y in points[1:-1]), default=0.0)


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of the same columns as aligned text; the first column to the left."""
    if not rows:
        return f"\n{title}\n  nothing"
    names = list(rows[0])
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join(["", title, *(f"  {text.rstrip()}" for text in lines)])


def facts(title: str, found: Mapping[str, Any]) -> str:
    """Return names and values, one a line."""
    return "\n".join(
        ["", title, *(f"  {name:<28} {_shown(value)}" for name, value in found.items())]
    )


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
