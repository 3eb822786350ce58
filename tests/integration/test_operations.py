"""Operators' changes of a login's phone and WeChat binding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib.domain.catalogue import NOTICE_TITLES
from chalicelib.domain.errors import InvalidInput, PhoneNotBound, Unavailable
from chalicelib.services.support import ChangeResult, NotificationResult, Review, Support
from chalicelib.sms.gateway import Outcome
from chalicelib.store.accounts import Accounts, AccountSnapshot
from chalicelib.store.codes import Codes
from chalicelib.store.dynamo import ConditionFailed
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PHONE, World
from tests.support.operator_cases import (
    ACTOR,
    BY,
    FINANCE,
    LOGIN,
    NEW_PHONE,
    FakePlatform,
    events,
    recover,
)


@pytest.fixture
def world(operated_world: World) -> World:
    """The world of the operators' fixtures."""
    return operated_world


def test_a_changed_phone_is_audited_and_both_phones_notified(
    support: Support, world: World
) -> None:
    """Later codes go to the new phone."""
    changed = support.change_phone(LOGIN, "139 0000-2222", **BY)
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
    unapproved, event = events()
    assert (event.event, event.actor, event.reason) == ("phone-changed", ACTOR, "本人来函")
    assert (unapproved.event, unapproved.actor) == ("break-glass", ACTOR)
    assert (event.destination, event.outcome) == ("139****2222", "was 138****1234")
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "phone-changed"),
        ("+8613900002222", "phone-changed"),
    ]
    assert LOGIN in world.phones.sent[0].text
    world.clock.time += 60
    recover(world)
    assert world.phones.sent[-1].to == "+8613900002222"


def test_a_change_that_is_repeated_is_reported_once(
    support: Support, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writes come first twice; the change without a second person is one all the same."""
    reports: list[None] = []
    write, conflicts = Accounts.change_phone, [None, None]

    def change_phone(*arguments: Any) -> None:
        if conflicts:
            conflicts.pop()
            raise ConditionFailed([None], [True])
        write(*arguments)

    monkeypatch.setattr(Accounts, "change_phone", staticmethod(change_phone))
    review = Review(before_unapproved=lambda: reports.append(None))
    assert support.change_phone(LOGIN, NEW_PHONE, review, **BY).changed
    assert (conflicts, reports) == ([], [None])


def test_a_first_phone_alone_is_notified(support: Support, world: World) -> None:
    """No other phone was bound before."""
    LoginItem(LOGIN).update([LoginItem.phone.remove()])
    assert len(support.change_phone(LOGIN, NEW_PHONE, **BY).notified) == 1
    assert events()[-1].outcome == "first-phone"


@pytest.mark.parametrize(
    ("login", "number", "doubts"),
    [
        (LOGIN, NEW_PHONE, ()),
        (LOGIN, "14500002222", ("data-card",)),
        (LOGIN, "17012345678", ("other-firm",)),
        (LOGIN, "14712345678", ("data-card", "other-firm")),
        # Of the same firm's other login, and the login's own.
        (FINANCE, "13700005555", ()),
        (LOGIN, "13700005555", ()),
    ],
)
def test_a_doubtful_phone_is_found(
    support: Support, world: World, login: str, number: str, doubts: tuple[str, ...]
) -> None:
    """A number for devices, or one of another firm; logins of one firm often share a phone."""
    LoginItem(LOGIN).update([LoginItem.phone.set("+8613700005555")])
    for other, phone in (("31010001", "+8617012345678"), ("31010002", "+8614712345678")):
        LoginItem(other, firm_no=other, phone=phone, password_version=1, changed_at=1).save()
    assert support.phone_doubts(login, number) == doubts


def test_a_bound_login_s_new_phone_gets_no_codes(support: Support, world: World) -> None:
    """The result says that codes go to WeChat, changed or not, until it is unbound."""
    for changed in (True, False):
        result = support.change_phone(FINANCE, NEW_PHONE, **BY)
        assert (result.changed, result.codes_by_wechat) == (changed, True)
    assert not support.unbind(FINANCE, **BY).codes_by_wechat
    assert not support.change_phone(FINANCE, "13900003333", **BY).codes_by_wechat


def test_the_same_phone_again_is_no_change(support: Support, world: World) -> None:
    """Nothing is written and nobody is notified."""
    assert support.change_phone(LOGIN, "+8613800001234", **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_a_changed_phone_ends_the_live_code(support: Support, world: World) -> None:
    """The old phone's code is refused, and its recovery is over."""
    token = recover(world)
    support.change_phone(LOGIN, NEW_PHONE, **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")
    world.clock.time += 61
    assert world.send(token).json_body["code"] == "recovery-expired"


@pytest.mark.parametrize("number", ["", "1380000", "010-88250337", "无"])
def test_only_a_mobile_number_can_be_bound(support: Support, world: World, number: str) -> None:
    """Other numbers cannot receive an SMS."""
    with pytest.raises(InvalidInput):
        support.change_phone(LOGIN, number, **BY)
    assert (world.login_item().phone, events()) == (PHONE, [])


@pytest.mark.parametrize("reason", ["", "  ", "\n\x1b", "长" * 201])
def test_a_change_requires_a_reason(support: Support, world: World, reason: str) -> None:
    """It has 1 to 200 characters besides spaces and control characters."""
    with pytest.raises(InvalidInput):
        support.change_phone(LOGIN, NEW_PHONE, actor="a", reason=reason)
    with pytest.raises(InvalidInput):
        support.unbind(FINANCE, actor="a", reason=reason)
    with pytest.raises(InvalidInput):
        support.unlock(LOGIN, actor="a", reason=reason)
    assert AuditItem.count() == 0


def test_a_failed_notice_is_reported_and_undoes_nothing(support: Support, world: World) -> None:
    """The change is stored; the operator sees which notice failed."""
    world.phones.outcomes = [Outcome.REFUSED, Outcome.UNKNOWN]
    notices = support.change_phone(LOGIN, NEW_PHONE, **BY).notified
    assert [one.outcome for one in notices] == ["failed", "unknown"]
    assert "console" in str(notices[0].reason)
    assert world.login_item().phone == "+8613900002222"


class Busy(Accounts):
    """Accounts whose phone changes between each read and write."""

    def __init__(self, codes: Codes, phones: Sequence[str]) -> None:
        super().__init__(codes)
        self._phones = list(phones)

    def read(self, login: str) -> AccountSnapshot | None:
        snapshot = super().read(login)
        if self._phones:
            LoginItem(login).update([LoginItem.phone.set(self._phones.pop())])
        return snapshot


def support_with(world: World, accounts: Accounts) -> Support:
    """Return the use case on a double of the accounts."""
    return Support(
        clock=world.clock,
        limits=world.service.settings.limits,
        accounts=accounts,
        notifications=world.service.notifications,
        index=world.service.desk.search_index,
    )


def test_a_concurrent_change_is_taken_into_account(world: World) -> None:
    """The phone that is really replaced is notified and audited."""
    support = support_with(world, Busy(world.service.codes, ["+8613700000000"]))
    changed = support.change_phone(LOGIN, NEW_PHONE, **BY)
    assert [one.destination for one in changed.notified] == ["137****0000", "139****2222"]
    assert [event.outcome for event in events() if event.event == "phone-changed"] == [
        "was 137****0000"
    ]


def test_repeated_concurrent_changes_end_in_unavailable(world: World) -> None:
    """Nothing is written."""
    phones = [f"+861370000000{number}" for number in range(9)]
    support = support_with(world, Busy(world.service.codes, phones))
    with pytest.raises(Unavailable):
        support.change_phone(LOGIN, NEW_PHONE, **BY)
    assert events() == []


def test_a_change_of_unknown_outcome_is_repeated_once(
    support: Support, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator sees that the store did not answer, and the binding is as before."""
    unbind = Mock(side_effect=Unavailable("store"))
    monkeypatch.setattr(Accounts, "unbind", unbind)
    with pytest.raises(Unavailable):
        support.unbind(FINANCE, **BY)
    assert unbind.call_count == 2
    assert world.login_item(FINANCE).openid == "o-alice"


def test_an_undone_binding_is_audited_and_phone_and_wechat_notified(
    support: Support, world: World, fake_platform: FakePlatform
) -> None:
    """The next code goes to the phone."""
    changed = support.unbind(FINANCE, **BY)
    assert changed == ChangeResult(
        FINANCE, True, (NotificationResult("138****1234", "sent", "console", None),)
    )
    item = world.login_item(FINANCE)
    assert item.phone == PHONE
    assert [item.openid, item.bound_at] == [None, None]
    (event,) = events(FINANCE)
    assert (event.event, event.actor, event.reason) == ("wechat-unbound", ACTOR, "本人来函")
    assert [sms.template for sms in world.phones.sent] == ["wechat-unbound"]
    assert fake_platform.messages == [("o-alice", NOTICE_TITLES["wechat-unbound"])]
    world.clock.time += 60
    assert world.start(FINANCE, "o-bob").json_body["method"] == "sms"


def test_an_undone_binding_ends_the_live_code(support: Support, world: World) -> None:
    """A code that was sent before is refused."""
    LoginItem(FINANCE).update([LoginItem.openid.remove()])
    token = recover(world, FINANCE)
    LoginItem(FINANCE).update([LoginItem.openid.set("o-alice")])
    support.unbind(FINANCE, **BY)
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_no_binding_is_no_change(support: Support, world: World) -> None:
    """Nothing is written and nobody is notified."""
    assert support.unbind(LOGIN, **BY) == ChangeResult(LOGIN, False)
    assert (events(), world.phones.sent) == ([], [])


def test_the_last_method_is_not_removed(support: Support, world: World) -> None:
    """Without a phone the binding stays until an operator binds a phone."""
    login = FINANCE
    LoginItem(login).update([LoginItem.phone.remove()])
    with pytest.raises(PhoneNotBound):
        support.unbind(login, **BY)
    assert world.login_item(login).openid == "o-alice"
    assert events(login) == []
    support.change_phone(login, NEW_PHONE, **BY)
    assert support.unbind(login, **BY).changed
