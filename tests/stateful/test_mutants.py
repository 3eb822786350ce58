"""The machine is worth its time: without any one of these rules its stories go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase

from tests.security.mutation import Defence
from tests.stateful import environment
from tests.stateful.machine import Machine
from tests.stateful.mutants import MUTANTS
from tests.stateful.runner import STEPS, run, seeds


@pytest.fixture(scope="module")
def the_environment() -> Iterator[environment.Environment]:
    """One for all of them, since each story begins it anew; afterwards all is well again."""
    with environment.running() as Machine.environment:
        yield Machine.environment
        Machine.environment.build_anew()
        run(seeds(1), [Phase.generate])


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@pytest.mark.parametrize("broken", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_broken_rule_is_noticed(
    the_environment: environment.Environment, broken: Defence
) -> None:
    """The suite's own stories, and no more of them, meet what no rule allows.

    An error of another kind would only show that the program broke.
    """
    # Parts that were built before may hold on to what the rule made of them.
    the_environment.build_anew()
    with broken.taken_out(), pytest.raises(AssertionError):
        run(seeds(STEPS), [Phase.generate])
