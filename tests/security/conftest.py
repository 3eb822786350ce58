"""Worlds of attacks: the whole way to DynamoDB where the defences hold, a short one where one is removed."""

from __future__ import annotations

import pytest

from tests.conftest import MakeWorld, World
from tests.support import moto_direct


@pytest.fixture
def make_world(make_world: MakeWorld, request: pytest.FixtureRequest) -> MakeWorld:
    """A factory of worlds on moto, which is called as a function where a defence is removed.

    An attack that falls only shows that its test depends on the defence. It is most of the runs, and the
    way to moto and back most of their time. Tests that count, watch or break requests have the mark
    `whole_way`. Those that send hundreds of calls and compare the answers have the mark `answers_alone`:
    for them moto is a function where the defences hold as well.
    """
    case = getattr(request.node, "callspec", None)
    holds = case is None or case.params.get("out") is None
    marks = {mark.name for mark in request.node.iter_markers()}
    if "whole_way" in marks or (holds and "answers_alone" not in marks):
        return make_world

    def make(**settings: str) -> World:
        world = make_world(**settings)
        moto_direct.use()
        return world

    return make
