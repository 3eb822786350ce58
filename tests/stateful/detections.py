"""The seed whose run detects each mutant first, so that the suite begins with it.

After a change of the machine or of its mutants an entry may be outdated, which costs time only: the other
seeds follow. `make test ARGS=tests/stateful` prints such entries; this prints the new file:
`make test ARGS=tests/stateful | python -m tests.stateful.detections`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.stateful.runner import STEPS, seeds

_FILE = Path(__file__).with_name("detections.json")


def recorded() -> dict[str, int]:
    """Return the recorded seeds by mutant."""
    found: dict[str, int] = json.loads(_FILE.read_text())
    return found


def ordered_seeds(mutant: str) -> list[int]:
    """Return the suite's seeds, the one that is recorded for the mutant first."""
    first = recorded().get(mutant, 0)
    return sorted(seeds(STEPS), key=lambda seed: seed != first)


def line(mutant: str, seed: int) -> str:
    """Return what the suite prints about a mutant that another seed than the recorded one detected."""
    return f"mutant <{mutant}> was detected by seed {seed}"


if __name__ == "__main__":
    lines = re.findall(line("(.*)", 0).replace("0", r"(\d+)"), sys.stdin.read())
    new = {mutant: int(seed) for mutant, seed in lines}
    _FILE.write_text(json.dumps({**recorded(), **new}, ensure_ascii=False, indent=2) + "\n")
