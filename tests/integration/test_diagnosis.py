"""What operators see of a login: its state, what keeps codes away, its history."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import AccountNotFound, InvalidInput
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.services.diagnosis import Diagnosis, Lock, LockKind
from chalicelib.services.support import Support
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.models import AuditItem, BudgetItem, CodeItem, LoginItem
from infra.ops import session
from tests.conftest import PHONE, MakeWorld, World
from tests.support.operator_cases import (
    BY,
    FINANCE,
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


def test_an_overview_says_what_a_login_is(inquiry: Diagnosis) -> None:
    """The facts, with the phone masked and nothing that opens a door."""
    seen = inquiry.overview(" １１０１０１４８ ")
    assert (seen.login, seen.kind, seen.firm) == (LOGIN, "main", "示例会计师事务所")
    assert (seen.method, seen.phone) == ("sms", "138****1234")
    assert (seen.wechat_bound, seen.following) == (False, None)
    assert (seen.has_password, seen.must_change) == (True, False)
    assert seen.changed_at == 1_700_000_000
    assert (seen.recovered_at, seen.reset_year, seen.code_until) == (None, None, None)
    assert (seen.sends, seen.locks, seen.findings) == ((), (), ("never-sent",))


def test_an_overview_holds_no_secret(inquiry: Diagnosis, world: World) -> None:
    """No phone, openid, code, hash or ID digits stand in what an operator gets."""
    recover(world)
    item = world.login_item()
    code = CodeItem.get(f"code#{LOGIN}")
    for login in (LOGIN, FINANCE):
        shown = repr(inquiry.overview(login)) + repr(inquiry.history(login, 50))
        for secret in (
            PHONE[3:],
            "o-alice",
            world.phones.codes[0],
            code.digest,
            item.password_hash,
            "123X",
        ):
            assert secret not in shown


def test_an_unknown_login_is_not_found(inquiry: Diagnosis, operations: Support) -> None:
    """Everything that names a login refuses one that is not there, and one that cannot be."""
    for call in (
        inquiry.overview,
        lambda login: inquiry.history(login, 5),
        lambda login: operations.change_phone(login, NEW_PHONE, **BY),
        lambda login: operations.unbind(login, **BY),
        lambda login: operations.unlock(login, **BY),
    ):
        with pytest.raises(AccountNotFound):
            call("99999999")
        with pytest.raises(InvalidInput):
            call("1101")
    assert LoginItem.count() == 2
    assert AuditItem.count() == 0


def test_a_sent_code_shows_with_what_became_of_it(inquiry: Diagnosis, world: World) -> None:
    """Gateway, outcome, receipt and reason of the last codes, newest first; and the live code."""
    recover(world)
    first = inquiry.overview(LOGIN)
    assert first.code_until == world.clock.time + 300
    assert [(s.gateway, s.outcome, s.destination) for s in first.sends] == [
        ("console", "handed-over", "138****1234")
    ]
    assert first.findings == ("locked", "no-receipt")
    assert first.locks == (Lock(LockKind.DESTINATION_SENDS, world.clock.time + 60),)
    audit.add_receipt(LOGIN, events()[0].at, "m1", "failed", "MOBILE_NOT_ON_SERVICE 停机")
    world.clock.time += 61
    failed = inquiry.overview(LOGIN)
    assert failed.findings == ("not-delivered",)
    assert failed.sends[0].reason == "MOBILE_NOT_ON_SERVICE 停机"
    recover(world)
    audit.add_receipt(LOGIN, events()[1].at, "m2", "delivered", None)
    seen = inquiry.overview(LOGIN)
    assert "delivered" in seen.findings
    assert [send.receipt for send in seen.sends] == ["delivered", "failed"]


def test_only_the_last_sends_are_shown(inquiry: Diagnosis, world: World) -> None:
    """Five codes, whatever else happened in between."""
    for number in range(7):
        audit.entry(LOGIN, "code-sent", world.clock.time + number, gateway=f"g{number}").save()
        audit.entry(LOGIN, "unlocked", world.clock.time + number).save()
    assert [send.gateway for send in inquiry.overview(LOGIN).sends] == [
        "g6",
        "g5",
        "g4",
        "g3",
        "g2",
    ]


def test_a_code_that_no_gateway_took_shows_why(inquiry: Diagnosis, world: World) -> None:
    """What the gateway said is what the operator reads."""
    world.phones.outcomes = [Outcome.REFUSED]
    assert world.send(world.token()).status_code == 502
    seen = inquiry.overview(LOGIN)
    assert seen.findings == ("send-failed",)
    assert "console: refused" in str(seen.sends[0].reason)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"outcome": "unknown", "reason": "read time-out"}, "outcome-unknown"),
        ({"gateway": "wechat-pull"}, "to-be-fetched"),
        ({"outcome": "sent"}, "no-receipt"),
    ],
)
def test_a_code_on_its_way_shows_how_far_it_came(
    inquiry: Diagnosis, world: World, facts: dict[str, str], found: str
) -> None:
    """No answer from the gateway, waiting to be fetched, or handed over without a receipt yet."""
    recover(world)
    audit.settle_send(LOGIN, events()[0].at, **facts)
    world.clock.time += 60
    assert inquiry.overview(LOGIN).findings == (found,)


def test_whoever_has_no_way_at_all_is_told_apart(inquiry: Diagnosis, world: World) -> None:
    """Neither phone nor WeChat, and no password either."""
    LoginItem(LOGIN).update([LoginItem.phone.remove(), LoginItem.password_hash.remove()])
    seen = inquiry.overview(LOGIN)
    assert (seen.method, seen.phone) == (None, None)
    assert seen.findings == ("no-way", "never-sent", "no-password")


@pytest.mark.parametrize(
    ("noted", "asked", "following", "found"),
    [
        (False, True, False, ("not-following", "never-sent")),
        (True, False, True, ("never-sent",)),
        (None, True, True, ("never-sent",)),
        (None, False, False, ("not-following", "never-sent")),
        (None, None, None, ("following-unknown", "never-sent")),
    ],
)
def test_a_follower_who_left_is_found_out(
    inquiry: Diagnosis,
    world: World,
    platform: FakePlatform,
    noted: bool | None,
    asked: bool | None,
    following: bool | None,
    found: tuple[str, ...],
) -> None:
    """By WeChat's last event, else by asking WeChat, else it stays open."""
    platform.following = asked
    if noted is not None:
        world.service.followers.note("o-alice", noted, 1)
    seen = inquiry.overview(FINANCE)
    assert (seen.method, seen.wechat_bound, seen.bound_at) == ("wechat", True, 1_790_000_000)
    assert (seen.following, seen.findings) == (following, found)
    assert seen.must_change


def test_every_limit_shows_with_its_end(inquiry: Diagnosis, world: World) -> None:
    """Each count that is used up is a lock of its own; one less is none."""
    now = world.clock.time
    expected = []
    for lock in exhausted(now):
        expected.append(lock)
        seen = inquiry.overview(LOGIN)
        assert set(seen.locks) == set(expected), lock
        assert "locked" in seen.findings
    world.clock.time += DAY
    assert inquiry.overview(LOGIN).locks == ()


def test_a_code_without_tries_left_and_full_budgets_show(inquiry: Diagnosis, world: World) -> None:
    """The code's own limit ends with the code, a budget of the service with the clock hour."""
    recover(world)
    CodeItem(f"code#{LOGIN}").update([CodeItem.attempts.set(5)])
    now = world.clock.time
    hour = now // HOUR
    for name, total in (("sends", 2_000), ("wrong-codes", 1_000)):
        BudgetItem(f"budget#{name}#{hour}", total=total, expires_at=now + DAY).save()
    locks = inquiry.overview(LOGIN).locks
    assert Lock(LockKind.CODE_TRIES, now + 300) in locks
    assert Lock(LockKind.SERVICE_SENDS, (hour + 1) * HOUR) in locks
    assert Lock(LockKind.SERVICE_WRONG_CODES, (hour + 1) * HOUR) in locks
    world.clock.time += 300
    assert "code-tries" not in {lock.kind for lock in inquiry.overview(LOGIN).locks}


def test_the_counts_of_the_destination_are_found_by_the_service_s_own_key(
    inquiry: Diagnosis, world: World
) -> None:
    """A phone that two logins share is locked for both by a code to one."""
    LoginItem(FINANCE).update([LoginItem.openid.remove()])
    recover(world, FINANCE, "o-bob")
    assert {lock.kind for lock in inquiry.overview(LOGIN).locks} == {"destination-sends"}


def test_history_is_newest_first(inquiry: Diagnosis, world: World) -> None:
    """The last events, as many as are asked for."""
    for number in range(5):
        audit.entry(LOGIN, f"event-{number}", world.clock.time + number, actor="a").save()
    assert [event.event for event in inquiry.history(LOGIN, 3)] == ["event-4", "event-3", "event-2"]
    assert inquiry.history(FINANCE, 3) == []
