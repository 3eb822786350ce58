"""Fixtures of the tests of operators' use cases."""

from __future__ import annotations

import pytest

from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import Support
from infra.ops import session
from tests.conftest import MakeWorld, World
from tests.support.operator_cases import FakePlatform, operators_world


@pytest.fixture
def fake_platform() -> FakePlatform:
    """WeChat's platform, where every openid follows."""
    return FakePlatform()


@pytest.fixture
def operated_world(
    make_world: MakeWorld, fake_platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A firm whose main login has a phone and whose finance login is bound to o-alice."""
    return operators_world(make_world, fake_platform, monkeypatch)


@pytest.fixture
def support(operated_world: World) -> Support:
    """The changes of logins, as the commands use them."""
    return session.support()


@pytest.fixture
def diagnosis(operated_world: World) -> Diagnosis:
    """The diagnosis of logins, as the commands use it."""
    return session.diagnosis()
