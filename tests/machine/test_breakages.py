"""The machine is worth its time: without any one of these rules its stories go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase

from tests.attacks.proving import Defence
from tests.machine import town
from tests.machine.breakages import BREAKAGES
from tests.machine.machine import Machine
from tests.machine.telling import NEEDED, seeds, tell


@pytest.fixture(scope="module")
def the_town() -> Iterator[town.Town]:
    """One for all of them, since each story begins it anew; afterwards all is well again."""
    with town.running() as Machine.town:
        yield Machine.town
        Machine.town.build_anew()
        tell(seeds(1), [Phase.generate])


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@pytest.mark.parametrize("broken", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_a_broken_rule_is_noticed(the_town: town.Town, broken: Defence) -> None:
    """The suite's own stories, and no more of them, meet what no rule allows.

    An error of another kind would only show that the program broke.
    """
    # Parts that were built before may hold on to what the rule made of them.
    the_town.build_anew()
    with broken.taken_out(), pytest.raises(AssertionError):
        tell(seeds(NEEDED), [Phase.generate])
