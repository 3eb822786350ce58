"""The diagnosis of a login: its state, its findings and its history."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import AccountNotFound, InvalidInput
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.services.diagnosis import Diagnosis, Lock, LockKind
from chalicelib.services.support import Support
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.ephemeral_models import BudgetItem, CodeItem
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PHONE, World
from tests.support.operator_cases import (
    BY,
    FINANCE,
    LOGIN,
    NEW_PHONE,
    FakePlatform,
    events,
    exhausted,
    recover,
)


@pytest.fixture
def world(operated_world: World) -> World:
    """The world of the operators' fixtures."""
    return operated_world


def test_an_overview_has_the_state_of_a_login(diagnosis: Diagnosis) -> None:
    """The stored facts, with the phone masked and without secrets."""
    seen = diagnosis.overview(" １１０１０１４８ ")
    assert (seen.login, seen.kind, seen.firm) == (LOGIN, "main", "示例会计师事务所")
    assert (seen.method, seen.phone) == ("sms", "138****1234")
    assert (seen.wechat_bound, seen.following) == (False, None)
    assert (seen.has_password, seen.must_change) == (True, False)
    assert seen.changed_at == 1_700_000_000
    assert (seen.recovered_at, seen.reset_year, seen.code_until) == (None, None, None)
    assert (seen.sends, seen.locks, seen.findings) == ((), (), ("never-sent",))


def test_an_overview_holds_no_secret(diagnosis: Diagnosis, world: World) -> None:
    """Overview and history have no phone, openid, code, hash or ID digits."""
    recover(world)
    item = world.login_item()
    code = CodeItem.get(f"code#{LOGIN}")
    for login in (LOGIN, FINANCE):
        shown = repr(diagnosis.overview(login)) + repr(diagnosis.history(login, 50))
        for secret in (
            PHONE[3:],
            "o-alice",
            world.phones.codes[0],
            code.digest,
            item.password_hash,
            "123X",
        ):
            assert secret not in shown


def test_an_unknown_login_is_not_found(diagnosis: Diagnosis, support: Support) -> None:
    """Every operation refuses an unknown login and a malformed one."""
    for call in (
        diagnosis.overview,
        lambda login: diagnosis.history(login, 5),
        lambda login: support.change_phone(login, NEW_PHONE, **BY),
        lambda login: support.unbind(login, **BY),
        lambda login: support.unlock(login, **BY),
    ):
        with pytest.raises(AccountNotFound):
            call("99999999")
        with pytest.raises(InvalidInput):
            call("1101")
    assert LoginItem.count() == 2
    assert AuditItem.count() == 0


def test_an_overview_shows_the_outcome_of_each_send(diagnosis: Diagnosis, world: World) -> None:
    """Gateway, outcome, receipt and reason of the last codes, newest first; and the live code."""
    recover(world)
    first = diagnosis.overview(LOGIN)
    assert first.code_until == world.clock.time + 300
    assert [(s.gateway, s.outcome, s.destination) for s in first.sends] == [
        ("console", "handed-over", "138****1234")
    ]
    # The pause after a code is shown, but is no fault.
    assert first.findings == ("no-receipt",)
    assert first.locks == (Lock(LockKind.RESEND_PAUSE, world.clock.time + 60),)
    audit.add_receipt(LOGIN, events()[0].at, "m1", "failed", "MOBILE_NOT_ON_SERVICE 停机")
    world.clock.time += 61
    failed = diagnosis.overview(LOGIN)
    assert failed.findings == ("not-delivered",)
    assert failed.sends[0].reason == "MOBILE_NOT_ON_SERVICE 停机"
    recover(world)
    audit.add_receipt(LOGIN, events()[1].at, "m2", "delivered", None)
    seen = diagnosis.overview(LOGIN)
    assert "delivered" in seen.findings
    assert [send.receipt for send in seen.sends] == ["delivered", "failed"]


def test_only_the_last_sends_are_shown(diagnosis: Diagnosis, world: World) -> None:
    """Five codes, whatever else happened in between."""
    for number in range(7):
        audit.entry(LOGIN, "code-sent", world.clock.time + number, gateway=f"g{number}").save()
        audit.entry(LOGIN, "unlocked", world.clock.time + number).save()
    assert [send.gateway for send in diagnosis.overview(LOGIN).sends] == [
        "g6",
        "g5",
        "g4",
        "g3",
        "g2",
    ]


def test_a_failed_send_shows_its_reason(diagnosis: Diagnosis, world: World) -> None:
    """The reason is the gateway's answer."""
    world.phones.outcomes = [Outcome.REFUSED]
    assert world.send(world.token()).status_code == 502
    seen = diagnosis.overview(LOGIN)
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
def test_an_undelivered_code_shows_its_progress(
    diagnosis: Diagnosis, world: World, facts: dict[str, str], found: str
) -> None:
    """No answer from the gateway, ready to be fetched, or handed over without a receipt."""
    recover(world)
    audit.settle_send(LOGIN, events()[0].at, **facts)
    world.clock.time += 60
    assert diagnosis.overview(LOGIN).findings == (found,)


def test_a_login_without_any_method_is_reported(diagnosis: Diagnosis, world: World) -> None:
    """It has neither phone nor WeChat, and no password."""
    LoginItem(LOGIN).update([LoginItem.phone.remove(), LoginItem.password_hash.remove()])
    seen = diagnosis.overview(LOGIN)
    assert (seen.method, seen.phone) == (None, None)
    assert seen.findings == ("no-way", "never-sent", "no-password")


@pytest.mark.parametrize(
    ("event", "answer", "following", "findings"),
    [
        (False, True, False, ("not-following", "never-sent")),
        (True, False, True, ("never-sent",)),
        (None, True, True, ("never-sent",)),
        (None, False, False, ("not-following", "never-sent")),
        (None, None, None, ("following-unknown", "never-sent")),
    ],
)
def test_a_follower_who_left_is_reported(
    diagnosis: Diagnosis,
    world: World,
    fake_platform: FakePlatform,
    event: bool | None,
    answer: bool | None,
    following: bool | None,
    findings: tuple[str, ...],
) -> None:
    """By WeChat's last event, else by a request to WeChat, else as unknown."""
    fake_platform.following = answer
    if event is not None:
        world.service.followers.note("o-alice", event, 1)
    seen = diagnosis.overview(FINANCE)
    assert (seen.method, seen.wechat_bound, seen.bound_at) == ("wechat", True, 1_790_000_000)
    assert (seen.following, seen.findings) == (following, findings)
    assert seen.must_change


def test_every_exhausted_limit_is_shown_with_its_end(diagnosis: Diagnosis, world: World) -> None:
    """Each exhausted limit is one lock, until a day has passed."""
    now = world.clock.time
    expected = []
    for lock in exhausted(now):
        expected.append(lock)
        seen = diagnosis.overview(LOGIN)
        assert set(seen.locks) == set(expected), lock
        assert "locked" in seen.findings
    world.clock.time += DAY
    assert diagnosis.overview(LOGIN).locks == ()


def test_an_exhausted_code_and_full_budgets_are_shown(diagnosis: Diagnosis, world: World) -> None:
    """The code's own limit ends with the code, a budget of the service with the clock hour."""
    recover(world)
    CodeItem(f"code#{LOGIN}").update([CodeItem.tries.set({"0" * 16: 5})])
    now = world.clock.time
    hour = now // HOUR
    for name, total in (("sends", 2_000), ("wrong-codes", 1_000)):
        BudgetItem(f"budget#{name}#{hour}", total=total, expires_at=now + DAY).save()
    seen = diagnosis.overview(LOGIN)
    locks = seen.locks
    assert "locked-until-later" in seen.findings
    assert "locked" not in seen.findings
    assert Lock(LockKind.CODE_TRIES, now + 300) in locks
    assert Lock(LockKind.SERVICE_SENDS, (hour + 1) * HOUR) in locks
    assert Lock(LockKind.SERVICE_WRONG_CODES, (hour + 1) * HOUR) in locks
    world.clock.time += 300
    assert "code-tries" not in {lock.kind for lock in diagnosis.overview(LOGIN).locks}


def test_logins_with_one_phone_share_its_limit(diagnosis: Diagnosis, world: World) -> None:
    """A phone that two logins share is locked for both by a code to one."""
    LoginItem(FINANCE).update([LoginItem.openid.remove()])
    recover(world, FINANCE, "o-bob")
    assert {lock.kind for lock in diagnosis.overview(LOGIN).locks} == {"resend-pause"}


def test_history_is_newest_first(diagnosis: Diagnosis, world: World) -> None:
    """At most as many events as requested."""
    for number in range(5):
        audit.entry(LOGIN, f"event-{number}", world.clock.time + number, actor="a").save()
    assert [event.event for event in diagnosis.history(LOGIN, 3)] == [
        "event-4",
        "event-3",
        "event-2",
    ]
    assert diagnosis.history(FINANCE, 3) == []
