"""The state machine detects each mutant of the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase

from tests.conftest import Report
from tests.stateful import environment
from tests.stateful.detections import line, ordered_seeds, recorded
from tests.stateful.machine import Machine
from tests.stateful.mutants import MUTANTS
from tests.stateful.runner import run, seeds


@pytest.fixture(scope="module")
def shared_environment() -> Iterator[environment.Environment]:
    """One environment for all mutants; afterwards the unchanged service agrees with the model."""
    with environment.running() as Machine.environment:
        yield Machine.environment
        Machine.environment.build_anew()
        run(seeds(1), [Phase.generate])


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_detected(
    shared_environment: environment.Environment, mutant: str, report: Report
) -> None:
    """The runs of the suite, and no more of them, find a difference from the model.

    An exception of another kind would only show that the mutant fails by itself.
    """
    # Parts that were built before may keep values that the mutated code computes.
    shared_environment.build_anew()
    with MUTANTS[mutant].taken_out():
        detected_by = next(filter(_detects, ordered_seeds(mutant)), None)
    assert detected_by is not None
    if detected_by != recorded().get(mutant):
        report(line(mutant, detected_by))


def _detects(seed: int) -> bool:
    try:
        run([seed], [Phase.generate])
    except AssertionError:
        return True
    return False
