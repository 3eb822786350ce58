"""The results of all parts in one JSON file; a run replaces those of its own parts alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.perf.bench import goals, growth

OUT = Path("artifacts/bench.json")

Found = dict[str, Any]


def read(path: Path = OUT) -> Found:
    """Return the results of earlier runs; empty where there are none."""
    if not path.exists():
        return {}
    found: Found = json.loads(path.read_text("utf-8"))
    return found


def merged(before: Mapping[str, Any], found: Found, parts: Iterable[str], day: str) -> Found:
    """Return earlier results with those of `parts`, measured on `day` (ISO 8601), in their place.

    `measured` has the day of each part. Goals and growth are derived from all results anew.
    """
    every = {**before, **found}
    every["measured"] = {**before.get("measured", {}), **dict.fromkeys(parts, day)}
    every["goals"] = goals.goals(every)
    every["growth"] = growth.growth(every)
    return every


def write(found: Found, path: Path = OUT) -> None:
    """Write the results, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    staging = path.with_suffix(".new")
    staging.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    staging.replace(path)
