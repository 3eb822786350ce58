"""Lifting the limits of a login, and what stays."""

from __future__ import annotations

import boto3
import pytest

from chalicelib.domain.limits import DAY, HOUR
from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import ChangeResult, NotificationResult, Support
from chalicelib.store.models import BudgetItem, CodeItem, DestinationItem
from infra.deploy.tables import create_tables
from infra.ops import session
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.support.operator_cases import (
    ACTOR,
    BY,
    LOGIN,
    NEW_PHONE,
    FakePlatform,
    events,
    exhausted,
    operators_world,
    recover,
)


@pytest.fixture
def platform() -> FakePlatform:
    """WeChat, where every openid follows."""
    return FakePlatform()


@pytest.fixture
def world(make_world: MakeWorld, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> World:
    """A firm whose main login has a phone alone and whose finance login is bound to o-alice."""
    return operators_world(make_world, platform, monkeypatch)


@pytest.fixture
def operations(world: World) -> Support:
    """The changes, as the commands get them."""
    return session.support()


@pytest.fixture
def inquiry(world: World) -> Diagnosis:
    """The diagnosis, as the commands get it."""
    return session.diagnosis()


def test_lifted_limits_let_the_person_go_on(
    operations: Support, inquiry: Diagnosis, world: World
) -> None:
    """Every count of the login and of its phone is empty; the audit says which were used up."""
    token = recover(world)
    list(exhausted(world.clock.time))
    assert world.send(token).status_code == 429
    assert operations.unlock(LOGIN, **BY).notified == (
        NotificationResult("138****1234", "sent", "console", None),
    )
    seen = inquiry.overview(LOGIN)
    assert seen.locks == ()
    event = next(event for event in events() if event.event == "unlocked")
    assert (event.actor, event.reason) == (ACTOR, "本人来函")
    assert set(event.outcome.split(",")) == {
        "starts",
        "login-sends",
        "destination-sends",
        "wrong-codes",
        "wrong-details",
        "wrong-passwords",
    }
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200


def test_lifting_limits_gives_a_live_code_no_new_tries(operations: Support, world: World) -> None:
    """Five tries on one code are five, whoever is asked for help; and a wrong one still counts."""
    token = recover(world)
    wrong = f"{(int(world.phones.codes[0]) + 1) % 1_000_000:06d}"
    for _ in range(4):
        assert world.confirm(token, wrong).status_code == 400
    operations.unlock(LOGIN, **BY)
    assert world.confirm(token, wrong).json_body["attempts_left"] == 0
    assert world.confirm(token, world.phones.codes[0]).status_code == 429


def test_lifting_limits_leaves_the_service_s_budgets(
    operations: Support, inquiry: Diagnosis, world: World
) -> None:
    """They hold back a flood, which no single login's operator may let in."""
    recover(world)
    hour = world.clock.time // HOUR
    budget = BudgetItem(f"budget#sends#{hour}", total=2_000, expires_at=world.clock.time + DAY)
    budget.save()
    operations.unlock(LOGIN, **BY)
    assert [lock.kind for lock in inquiry.overview(LOGIN).locks] == ["service-sends"]


def test_limits_lifted_in_the_middle_of_a_step_spoil_nothing(
    dynamodb_local: str, monkeypatch: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """On DynamoDB itself: a code that is being used works, though its counts were just emptied."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    world = make_world(TABLE_PREFIX="unlock-midway")
    create_tables(boto3.client("dynamodb"), "unlock-midway")
    add_firm(world.service.hasher)
    operations = session.support()
    token = recover(world)
    hashing = world.service.hasher.hash

    def unlocked_meanwhile(password: str) -> str:
        assert operations.unlock(LOGIN, **BY).changed
        return hashing(password)

    monkeypatch.setattr(world.service.hasher, "hash", unlocked_meanwhile)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    # The other two changes, once, on the real thing; they find no code to end any more.
    assert operations.change_phone(LOGIN, NEW_PHONE, **BY).changed
    assert operations.unbind(LOGIN, **BY).changed
    assert sorted(event.event for event in events()) == [
        "code-sent",
        "password-recovered",
        "phone-changed",
        "unlocked",
        "wechat-unbound",
    ]


def test_nothing_counted_is_no_change(operations: Support, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.unlock(LOGIN, **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_what_a_change_leaves_behind_vanishes_again(operations: Support, world: World) -> None:
    """Counts that an operator's change had to touch carry a time to live."""
    world.start()
    operations.unlock(LOGIN, **BY)
    operations.change_phone(LOGIN, NEW_PHONE, **BY)
    kept = [*CodeItem.scan(), *DestinationItem.scan()]
    assert kept
    for item in kept:
        assert world.clock.time < item.expires_at <= world.clock.time + DAY
