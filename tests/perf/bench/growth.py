"""How the figures grow with the number of logins or firms, from the results of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]

Points = list[tuple[int, float]]
"""Sizes, ascending, and the figure at each."""


def growth(found: Found) -> list[dict[str, Any]]:
    """Return a row for each figure that was measured at several sizes.

    A row has the figure at the smallest and the largest size and both ratios: `times_size` and
    `times`, which is 1 where the figure does not depend on the size.
    """
    return [
        {
            "figure": name,
            "of": unit,
            "from_size": points[0][0],
            "from": points[0][1],
            "to_size": points[-1][0],
            "to": points[-1][1],
            "times_size": round(points[-1][0] / points[0][0], 1),
            "times": round(points[-1][1] / points[0][1], 2) if points[0][1] else None,
        }
        for name, unit, points in (*_tables(found), *_yearly(found), *_memory(found))
        if len(points) > 1
    ]


def by_size(found: Found, *path: str) -> Points:
    """Return a figure of the part `desk` at each number of firms."""
    sizes = found.get("desk", {}).get("sizes", {})
    points = []
    for size in sorted(map(int, sizes)):
        value = sizes[str(size)]
        for key in path:
            value = value[key]
        points.append((size, value))
    return points


def searches(found: Found, column: str) -> dict[str, Points]:
    """Return a column of the searches at each number of firms, by kind of search."""
    sizes = found.get("desk", {}).get("sizes", {})
    kinds: dict[str, Points] = {}
    for size in sorted(map(int, sizes)):
        for row in sizes[str(size)]["searches"]:
            kinds.setdefault(row["search"], []).append((size, row[column]))
    return kinds


def _tables(found: Found) -> Iterator[tuple[str, str, Points]]:
    yield (
        "whole recovery without a hash, CPU ms",
        "logins in the table",
        by_size(found, "recovery", "cpu_ms"),
    )
    yield "callback of a follower, CPU ms", "followers", by_size(found, "callback", "cpu_ms")
    yield "callback of a follower, p50 ms", "followers", by_size(found, "callback", "p50")
    for name, column in (("p50 ms", "p50_ms"), ("read units", "read_units_most")):
        yield f"desk search, {name} of the costliest kind", "firms", _most(searches(found, column))


def _most(kinds: Mapping[str, Points]) -> Points:
    """Return the highest of the kinds' figures at each size."""
    return [
        (column[0][0], max(figure for _, figure in column))
        for column in zip(*kinds.values(), strict=True)
    ]


def _yearly(found: Found) -> Iterator[tuple[str, str, Points]]:
    runs = found.get("cost", {}).get("yearly_runs", [])
    for name, column in (
        ("write units", "write_units"),
        ("read units", "read_units"),
        ("CPU ms of the worker", "work_cpu_ms"),
    ):
        points = [(run["logins"], round(run[column] / run["logins"], 3)) for run in runs]
        yield f"yearly run, {name} per login", "logins", points


def _memory(found: Found) -> Iterator[tuple[str, str, Points]]:
    sizes = found.get("worker_memory", {}).get("logins", {})
    for name in ("plan", "work"):
        points = [(size, sizes[str(size)][f"{name}_kib"]) for size in sorted(map(int, sizes))]
        yield f"yearly run, peak memory of {name}, KiB", "logins", points
