"""Runs the state machine by hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unittest.mock import patch

from hypothesis import Phase, seed, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Machine

LENGTH = 50
"""The maximal number of steps in one run."""

RUNS = 2
"""Runs of one seed. After some of them hypothesis begins to vary earlier ones, which finds less here than
new runs do; and one run is soon repeated."""

STEPS = 6_000
"""Steps of the suite."""


def seeds(steps: int) -> range:
    """Return the seeds that are needed for so many steps."""
    return range(-(-steps // (LENGTH * RUNS)))


def run(seeds: Iterable[int], phases: Sequence[Phase]) -> None:
    """Run the machine once for each seed, reproducibly. Raises what a run raises.

    hypothesis prefers to draw constants of the loaded modules, which depend on the tests that ran
    before; this is switched off.
    """
    with patch.object(HypothesisProvider, "_maybe_draw_constant", lambda *_, **__: None):
        for number in seeds:
            seed(number)(Machine)
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    # The first run is the simplest one, with hardly any step.
                    max_examples=RUNS + 1,
                    stateful_step_count=LENGTH,
                    database=None,
                    deadline=None,
                    phases=phases,
                    report_multiple_bugs=False,
                ),
            )
