"""Operators clear the limits of a login, but not all counts."""

from __future__ import annotations

import boto3
import pytest

from chalicelib.domain.limits import DAY, HOUR
from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import ChangeResult, NotificationResult, Support
from chalicelib.store.ephemeral_models import BudgetItem, CodeItem, DestinationItem, UnbinderItem
from infra.deploy.tables import create_tables
from infra.ops import session
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.support.operator_cases import (
    ACTOR,
    BY,
    FINANCE,
    LOGIN,
    NEW_PHONE,
    events,
    exhausted,
    recover,
)


@pytest.fixture
def world(operated_world: World) -> World:
    """The world of the operators' fixtures."""
    return operated_world


def test_cleared_limits_allow_a_recovery(
    support: Support, diagnosis: Diagnosis, world: World
) -> None:
    """All counts of the login and of its phone are empty; the audit has the exhausted limits."""
    token = recover(world)
    list(exhausted(world.clock.time))
    assert world.send(token).status_code == 429
    assert support.unlock(LOGIN, **BY).notified == (
        NotificationResult("138****1234", "sent", "console", None),
    )
    seen = diagnosis.overview(LOGIN)
    assert seen.locks == ()
    event = next(event for event in events() if event.event == "unlocked")
    assert (event.actor, event.reason) == (ACTOR, "本人来函")
    assert set(event.outcome.split(",")) == {
        "starts",
        "login-sends",
        "resend-pause",
        "wrong-codes",
        "login-wrong-codes",
        "wrong-details",
        "unbindings",
        "wrong-passwords",
    }
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200


def test_clearing_limits_keeps_the_attempts_of_a_live_code(
    support: Support, diagnosis: Diagnosis, world: World
) -> None:
    """A code has five attempts in any case, and a wrong one still counts."""
    token = recover(world)
    wrong = f"{(int(world.phones.codes[0]) + 1) % 1_000_000:06d}"
    for _ in range(4):
        assert world.confirm(token, wrong).status_code == 400
    support.unlock(LOGIN, **BY)
    assert world.confirm(token, wrong).json_body["attempts_left"] == 0
    # The finding does not advise to clear the limits once more.
    findings = diagnosis.overview(LOGIN).findings
    assert "locked" not in findings
    assert "locked-until-later" in findings
    assert world.confirm(token, world.phones.codes[0]).status_code == 429


def test_clearing_limits_keeps_the_service_s_budgets(
    support: Support, diagnosis: Diagnosis, world: World
) -> None:
    """They limit all logins together."""
    recover(world)
    hour = world.clock.time // HOUR
    budget = BudgetItem(f"budget#sends#{hour}", total=2_000, expires_at=world.clock.time + DAY)
    budget.save()
    support.unlock(LOGIN, **BY)
    assert [lock.kind for lock in diagnosis.overview(LOGIN).locks] == ["service-sends"]


def test_limits_can_be_cleared_during_a_confirmation(
    dynamodb_local: str, monkeypatch: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """On DynamoDB Local: a code in use stays valid though its counts were cleared."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    world = make_world(TABLE_PREFIX="unlock-midway")
    create_tables(boto3.client("dynamodb"), "unlock-midway")
    add_firm(world.service.hasher)
    support = session.support()
    token = recover(world)
    hashing = world.service.hasher.hash

    def unlock_and_hash(password: str) -> str:
        assert support.unlock(LOGIN, **BY).changed
        return hashing(password)

    monkeypatch.setattr(world.service.hasher, "hash", unlock_and_hash)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    # The other two changes on DynamoDB Local, where no live code is left to end.
    assert support.change_phone(LOGIN, NEW_PHONE, **BY).changed
    assert support.unbind(LOGIN, **BY).changed
    assert sorted(event.event for event in events()) == [
        "break-glass",
        "code-sent",
        "password-recovered",
        "phone-changed",
        "unlocked",
        "wechat-unbound",
    ]


def test_what_a_requester_did_to_bindings_is_cleared_with_the_login(
    support: Support, world: World
) -> None:
    """Else a full budget would still refuse the person for wrong details; others' counts stay."""
    wrong = {"firm_no": LOGIN, "approval_no": "-", "head_name": "-"}
    for token in (world.token(FINANCE), world.token(FINANCE, "o-bob")):
        answer = world.call("POST", "/recovery/unbinding", wrong, token=token)
        assert answer.json_body["code"] == "details-do-not-match", answer.body
    now = world.clock.time
    stranger = UnbinderItem("unbinder#stranger", wrong_at=now, expires_at=now + DAY)
    stranger.save()
    counted = [item for item in UnbinderItem.scan() if item.wrong_at is not None]
    assert len([item for item in counted if item.id.startswith("unbinder#")]) == 3
    assert support.unlock(FINANCE, **BY).changed
    left = {item.id: item for item in UnbinderItem.scan() if item.id.startswith("unbinder#")}
    assert [key for key, item in left.items() if item.wrong_at is not None] == [stranger.id]
    assert all(not item.unbindings and item.expires_at <= now + DAY for item in left.values())


def test_nothing_counted_is_no_change(support: Support, world: World) -> None:
    """Nothing is written and nobody is notified."""
    assert support.unlock(LOGIN, **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_items_written_by_changes_expire(support: Support, world: World) -> None:
    """Items of counts that a change writes have a time to live."""
    world.start()
    support.unlock(LOGIN, **BY)
    support.change_phone(LOGIN, NEW_PHONE, **BY)
    items = [*CodeItem.scan(), *DestinationItem.scan()]
    assert items
    for item in items:
        assert world.clock.time < item.expires_at <= world.clock.time + DAY
