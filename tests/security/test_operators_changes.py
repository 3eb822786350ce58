"""Attack 69: an operator's change ends open recoveries, and notices go to the login as it is now."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.services.support import Support
from chalicelib.store import accounts, code_updates
from chalicelib.store.accounts import Accounts, AccountSnapshot
from chalicelib.store.bindings import Bindings
from chalicelib.store.models import LoginItem
from tests.conftest import PHONE, MakeWorld, World, add_firm
from tests.security.actions import DETAILS, InterruptingHasher, draw, version
from tests.security.mutation import SourceMutation, attack
from tests.stateful.doubles import Platform

LOGIN, NEW_PHONE = "11010148", "+8613912345678"
BY = {"actor": "arn:aws-cn:iam::1:user/zhang", "reason": "本人来函"}

EPOCH_COMPARED = SourceMutation(
    code_updates.login_unchanged, 'unchanged &= same_epoch(number("epoch"))', "pass"
)
PHONE_ENDS = SourceMutation(Accounts.change_phone, ", _END_RECOVERIES")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world whose logins have a phone and a WeChat that receives template messages."""
    world = make_world(WECHAT_CODE_TEMPLATE_ID="code-template")
    add_firm(world.service.hasher, openid="o-alice")
    world.service.__dict__["platform"] = Platform({"o-alice"}, may_push=True)
    return world


def change_phone(world: World) -> None:
    assert world.service.desk.support.change_phone(LOGIN, NEW_PHONE, **BY).changed
    world.phones.sent.clear()


def notices(world: World) -> list[tuple[str, str]]:
    return [(sms.to, sms.template) for sms in world.phones.sent if sms.template != "code"]


@attack(69, EPOCH_COMPARED, PHONE_ENDS)
def test_a_recovery_by_wechat_ends_with_an_operator_s_change_of_the_phone(world: World) -> None:
    """It neither sends, completes by a newer recovery's code, nor reports to the old phone."""
    draw(world, "100001", "100002")
    old = world.token()
    assert world.send(old).status_code == 202
    change_phone(world)
    world.clock.time += 61
    assert world.send(old).status_code == 401
    new = world.token()
    assert world.send(new).status_code == 202
    code = world.service.__dict__["platform"].pushed[-1][2]
    assert world.confirm(old, code, "Mallory-horse-9").status_code == 401
    assert (version(), notices(world)) == (1, [])
    assert world.confirm(new, code).status_code == 200
    assert notices(world) == [(NEW_PHONE, "password-reset")]


@attack(69, EPOCH_COMPARED, PHONE_ENDS)
def test_a_phone_changed_between_comparison_and_write_ends_the_recovery(world: World) -> None:
    """The code was right, and the operator's change came before its use."""
    # The change then leaves the code's item as it was: this is about the login's own condition.
    with SourceMutation(accounts.without_code, "*END_CODE, ").taken_out():
        InterruptingHasher(world, lambda: change_phone(world))
        draw(world, "100001")
        token = world.token()
        world.send(token)
        assert world.confirm(token, "100001").status_code == 401
    assert (version(), notices(world)) == (1, [])


@attack(69, SourceMutation(Accounts.unbind, "[_END_RECOVERIES]", "[]"))
def test_a_recovery_ends_with_an_operator_s_unbinding(world: World) -> None:
    """It does not go on by SMS, as after an unbinding by the person."""
    token = world.token()
    assert world.service.desk.support.unbind(LOGIN, **BY).changed
    assert world.send(token).status_code == 401
    assert world.send(world.token()).json_body["method"] == "sms"


@attack(
    69, SourceMutation(Bindings.unbind, "same_epoch(epoch)", "LoginItem.login.exists()"), PHONE_ENDS
)
def test_no_recovery_from_before_a_change_unbinds(world: World) -> None:
    """Its notice would go to whom the login belonged to before."""
    token = world.token(openid="o-mallory")
    change_phone(world)
    answer = world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert answer.status_code == 401
    assert (world.login_item().openid, notices(world)) == ("o-alice", [])


class ChangedBetween(Accounts):
    """Accounts whose login another writer changes once between a read and its write."""

    change: Callable[[], object] | None = None

    def read(self, login: str) -> AccountSnapshot | None:
        snapshot = super().read(login)
        change, self.change = self.change, None
        if change is not None:
            change()
        return snapshot


@attack(69, SourceMutation(accounts.same_destinations, "phone & openid", "openid"))
def test_operators_changes_notify_the_phone_of_now(world: World) -> None:
    """Whatever was read before: an unbinding and an unlocking."""
    service = world.service
    support = Support(
        clock=world.clock,
        limits=service.settings.limits,
        accounts=(changing := ChangedBetween(service.codes)),
        notifications=service.notifications,
        index=service.desk.search_index,
    )
    LoginItem(LOGIN).update([LoginItem.starts.set([world.clock.time])])
    changing.change = lambda: change_phone(world)
    assert support.unlock(LOGIN, **BY).changed
    assert notices(world) == [(NEW_PHONE, "unlocked")]
    changing.change = lambda: LoginItem(LOGIN).update([LoginItem.phone.set(PHONE)])
    assert support.unbind(LOGIN, **BY).changed
    assert notices(world)[1:] == [(PHONE, "wechat-unbound")]


def test_a_login_without_an_epoch_recovers_on_the_real_database(real_world: World) -> None:
    """Its item was written before the attribute existed; an operator's first change adds it."""
    LoginItem(LOGIN).update([LoginItem.recovery_epoch.remove()])
    draw(real_world, "100001", "100002")
    token = real_world.token()
    assert real_world.send(token).status_code == 202
    refused = real_world.confirm(token, "100001", f"Horse-{PHONE[3:]}-staple")
    assert (refused.status_code, refused.json_body["code"]) == (422, "weak-password")
    assert real_world.confirm(token, "999999").json_body["attempts_left"] == 4
    assert real_world.confirm(token, "100001").status_code == 200
    real_world.clock.time += 61
    late = real_world.token()
    change_phone(real_world)
    assert real_world.call("GET", "/recovery", token=late).status_code == 401
    assert real_world.send(late).status_code == 401
    assert int(real_world.login_item().recovery_epoch) == 1
