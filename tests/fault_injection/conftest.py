"""Fixtures of the sweeps: the faults, the SMS network, and the place where a person recovers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from chalicelib.security import proof_of_work
from chalicelib.security.proof_of_work import Proofs
from chalicelib.services import code_sender
from tests.conftest import SETTINGS, Report
from tests.fault_injection.driver import HttpNetwork, MakePlace, MovingClock, Place
from tests.fault_injection.sweep import Faults, intercept
from tests.support.http_server import Received, Reply, serving
from tests.support.official_account import MakeWechatWorld


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, report: Report) -> Faults:
    """Intercept every outgoing call; each passes until a point is armed."""
    intercept(monkeypatch)
    return Faults(report)


@pytest.fixture
def network() -> Iterator[HttpNetwork]:
    """A phone network that accepts every message until a test sets another status."""
    status = [200]

    def reply(_: Received) -> Reply:
        return status[0], b'{"id": "m1"}'

    with serving(reply) as server:
        yield HttpNetwork(server, status)


def _randbelow(below: int) -> int:
    """Write every budget, so that the call that writes it is among those that fail."""
    return secrets.randbelow(below) if below > 1_000 else 0


def in_turn(task: Callable[[], None]) -> Callable[[], None]:
    """Run a task before what it would run beside; a double of `code_sender.run_beside`."""
    task()
    return lambda: None


@pytest.fixture
def make_place(
    make_wechat_world: MakeWechatWorld, network: HttpNetwork, monkeypatch: pytest.MonkeyPatch
) -> MakePlace:
    """A factory of places: SMS by the gateway `http`, proofs of work at the lowest cost."""
    monkeypatch.setattr(proof_of_work, "COUNTERS", range(1, 9))
    # The calls must have the same order in every run.
    monkeypatch.setattr(code_sender, "run_beside", in_turn)

    def make(*, template: bool = True, **settings: str) -> Place:
        defaults = {
            "SMS_GATEWAYS": "http",
            "SMS_HTTP_URL": network.server.url,
            "SMS_HTTP_SECRET": "h" * 32,
            "PROOF_OF_WORK": "1",
        }
        wechat_world = make_wechat_world(template=template, **{**defaults, **settings})
        world = wechat_world.world
        # altcha compares with the machine's clock as well.
        world.clock.time = int(time.time())
        service = world.service
        # The access token of the menu, made by another clock, would stay valid for weeks.
        wechat_world.wechat.tokens.revoke()
        del service.platform
        service.proofs = Proofs([SETTINGS["SIGNING_KEYS"].encode()], service.clock, cost=1)
        service.randbelow = _randbelow
        world.pauses.wait = MovingClock(world)
        # A receipt of WeChat arrives at any time and would call moto during another call.
        monkeypatch.setattr(wechat_world.wechat._interfaces, "_sent", lambda *_: None)
        return Place(wechat_world, network)

    return make
