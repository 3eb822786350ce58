"""Having hypothesis tell the machine's stories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unittest.mock import patch

from hypothesis import Phase, seed, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Machine

LENGTH = 50
"""Steps of one story at the most."""

RUNS = 10
"""Stories of one telling. After so many hypothesis begins to vary what it has told already, which
finds less here than new stories do."""

STEPS = 4_000
"""Steps that the suite takes."""


def seeds(steps: int) -> range:
    """Of the tellings that make so many steps."""
    return range(-(-steps // (LENGTH * RUNS)))


def run(seeds: Iterable[int], phases: Sequence[Phase]) -> None:
    """Stories that follow from the seeds alone. Raises what goes wrong in them.

    hypothesis likes to draw numbers that it has read in the modules that are loaded, which are others
    wherever other tests ran before.
    """
    with patch.object(HypothesisProvider, "_maybe_draw_constant", lambda *_, **__: None):
        for number in seeds:
            seed(number)(Machine)
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    # The first story is the simplest one, which is next to nothing.
                    max_examples=RUNS + 1,
                    stateful_step_count=LENGTH,
                    database=None,
                    deadline=None,
                    phases=phases,
                    report_multiple_bugs=False,
                ),
            )
