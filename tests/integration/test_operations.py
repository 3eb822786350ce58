"""What operators may change of a login: its phone and its WeChat binding."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chalicelib.domain.errors import InvalidInput, PhoneNotBound, Unavailable
from chalicelib.services.support import ChangeResult, NotificationResult, Support
from chalicelib.sms.gateway import Outcome
from chalicelib.store.accounts import Accounts, AccountSnapshot
from chalicelib.store.codes import Codes
from chalicelib.store.models import AuditItem, LoginItem
from infra.ops import session
from tests.conftest import PHONE, MakeWorld, World
from tests.support.operator_cases import (
    ACTOR,
    BY,
    FINANCE,
    LOGIN,
    NEW_PHONE,
    FakePlatform,
    events,
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


def test_a_changed_phone_is_audited_and_told_to_both(operations: Support, world: World) -> None:
    """The new phone gets the codes; the old one learns of it, too."""
    changed = operations.change_phone(LOGIN, "139 0000-2222", **BY)
    assert changed == ChangeResult(
        LOGIN,
        True,
        (
            NotificationResult("138****1234", "sent", "console", None),
            NotificationResult("139****2222", "sent", "console", None),
        ),
    )
    assert world.login_item().phone == "+8613900002222"
    assert world.login_item(FINANCE).phone == PHONE
    (event,) = events()
    assert (event.event, event.actor, event.reason) == ("phone-changed", ACTOR, "本人来函")
    assert (event.destination, event.outcome) == ("139****2222", "was 138****1234")
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "phone-changed"),
        ("+8613900002222", "phone-changed"),
    ]
    assert LOGIN in world.phones.sent[0].text
    world.clock.time += 60
    recover(world)
    assert world.phones.sent[-1].to == "+8613900002222"


def test_a_first_phone_is_told_to_itself_alone(operations: Support, world: World) -> None:
    """Where none was bound there is nobody else to tell."""
    LoginItem(LOGIN).update([LoginItem.phone.remove()])
    assert len(operations.change_phone(LOGIN, NEW_PHONE, **BY).notified) == 1
    assert events()[0].outcome == "first-phone"


def test_the_same_phone_again_is_no_change(operations: Support, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.change_phone(LOGIN, "+8613800001234", **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_a_changed_phone_ends_the_live_code(operations: Support, world: World) -> None:
    """The code on the old phone is worth nothing any more, and its recovery is over."""
    token = recover(world)
    operations.change_phone(LOGIN, NEW_PHONE, **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")
    world.clock.time += 61
    assert world.send(token).json_body["code"] == "recovery-expired"


@pytest.mark.parametrize("number", ["", "1380000", "010-88250337", "无"])
def test_only_a_mobile_number_can_be_bound(operations: Support, world: World, number: str) -> None:
    """A code must be able to reach it."""
    with pytest.raises(InvalidInput):
        operations.change_phone(LOGIN, number, **BY)
    assert (world.login_item().phone, events()) == (PHONE, [])


@pytest.mark.parametrize("reason", ["", "  ", "\n\x1b", "长" * 201])
def test_no_change_without_a_reason(operations: Support, world: World, reason: str) -> None:
    """Of a length that somebody will read, and without control characters."""
    with pytest.raises(InvalidInput):
        operations.change_phone(LOGIN, NEW_PHONE, actor="a", reason=reason)
    with pytest.raises(InvalidInput):
        operations.unbind(FINANCE, actor="a", reason=reason)
    with pytest.raises(InvalidInput):
        operations.unlock(LOGIN, actor="a", reason=reason)
    assert AuditItem.count() == 0


def test_a_notice_that_fails_is_said_and_undoes_nothing(operations: Support, world: World) -> None:
    """The change stands; the operator sees whom to call."""
    world.phones.outcomes = [Outcome.REFUSED, Outcome.UNKNOWN]
    told = operations.change_phone(LOGIN, NEW_PHONE, **BY).notified
    assert [one.outcome for one in told] == ["failed", "unknown"]
    assert "console" in str(told[0].reason)
    assert world.login_item().phone == "+8613900002222"


class Busy(Accounts):
    """Somebody else changes the phone between looking and writing."""

    def __init__(self, codes: Codes, phones: Sequence[str]) -> None:
        super().__init__(codes)
        self._phones = list(phones)

    def read(self, login: str) -> AccountSnapshot | None:
        standing = super().read(login)
        if self._phones:
            LoginItem(login).update([LoginItem.phone.set(self._phones.pop())])
        return standing


def operations_on(world: World, accounts: Accounts) -> Support:
    """The changes on a double of the accounts."""
    return Support(
        clock=world.clock,
        limits=world.service.settings.limits,
        accounts=accounts,
        notifications=world.service.notifications,
    )


def test_a_change_meanwhile_is_not_lost_from_sight(world: World) -> None:
    """The phone that is really replaced is the one that is told and noted."""
    operations = operations_on(world, Busy(world.service.codes, ["+8613700000000"]))
    changed = operations.change_phone(LOGIN, NEW_PHONE, **BY)
    assert [one.destination for one in changed.notified] == ["137****0000", "139****2222"]
    assert [event.outcome for event in events()] == ["was 137****0000"]


def test_a_login_that_never_stands_still_is_given_up(world: World) -> None:
    """Nothing is written then."""
    phones = [f"+861370000000{number}" for number in range(9)]
    operations = operations_on(world, Busy(world.service.codes, phones))
    with pytest.raises(Unavailable):
        operations.change_phone(LOGIN, NEW_PHONE, **BY)
    assert events() == []


def test_an_undone_binding_is_audited_and_told_on_both_roads(
    operations: Support, world: World, platform: FakePlatform
) -> None:
    """The next code goes to the phone; phone and WeChat both learn of it."""
    changed = operations.unbind(FINANCE, **BY)
    assert changed == ChangeResult(
        FINANCE, True, (NotificationResult("138****1234", "sent", "console", None),)
    )
    item = world.login_item(FINANCE)
    assert item.phone == PHONE
    assert [item.openid, item.bound_at] == [None, None]
    (event,) = events(FINANCE)
    assert (event.event, event.actor, event.reason) == ("wechat-unbound", ACTOR, "本人来函")
    assert [sms.template for sms in world.phones.sent] == ["wechat-unbound"]
    assert platform.messages == [("o-alice", "已解绑微信公众号")]
    world.clock.time += 60
    assert world.start(FINANCE, "o-bob").json_body["method"] == "sms"


def test_an_undone_binding_ends_the_live_code(operations: Support, world: World) -> None:
    """A code that went to the old WeChat is worth nothing any more."""
    LoginItem(FINANCE).update([LoginItem.openid.remove()])
    token = recover(world, FINANCE)
    LoginItem(FINANCE).update([LoginItem.openid.set("o-alice")])
    operations.unbind(FINANCE, **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_no_binding_is_no_change(operations: Support, world: World) -> None:
    """Nothing is written, nobody is told."""
    assert operations.unbind(LOGIN, **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_the_last_way_to_a_person_is_not_taken(operations: Support, world: World) -> None:
    """Without a phone the binding stays, until an operator binds one."""
    login = FINANCE
    LoginItem(login).update([LoginItem.phone.remove()])
    with pytest.raises(PhoneNotBound):
        operations.unbind(login, **BY)
    assert world.login_item(login).openid == "o-alice"
    assert events(login) == []
    operations.change_phone(login, NEW_PHONE, **BY)
    assert operations.unbind(login, **BY).changed
