"""The recovery by SMS, through the HTTP door."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.sms.gateway import Outcome
from tests.conftest import PASSWORD, World, add_firm


def test_an_old_password_is_replaced_and_the_wechat_bound(world: World) -> None:
    """The whole story: name the login, get a code, set a password; the old one fails from then on."""
    started = world.start(" １１０１０１４８ ")
    assert started.status_code == 201
    body = started.json_body
    assert (body["login"], body["method"], body["destination"]) == (
        "11010148",
        "sms",
        "138****1234",
    )
    assert body["expires_in"] == 1800
    sent = world.send(body["token"])
    assert sent.status_code == 202
    assert sent.json_body == {
        "method": "sms",
        "destination": "138****1234",
        "delivery": "sent",
        "expires_in": 300,
        "resend_in": 60,
    }
    done = world.confirm(body["token"], world.phones.codes[0])
    assert done.status_code == 200, done.body
    assert done.json_body == {"login": "11010148", "wechat_bound": True}
    item = world.login_item()
    hasher = world.service.hasher
    assert hasher.verify(item.password_hash, PASSWORD)
    assert not hasher.verify(item.password_hash, "Opening-password-1")
    assert item.openid == "o-alice"
    assert not item.must_change
    notice = world.phones.sent[-1]
    assert notice.template == "wechat-bound"
    assert notice.to == "+8613800001234"


def test_a_code_works_once(world: World) -> None:
    """A used code is expired, whatever password comes with it."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    assert world.confirm(token, code).status_code == 200
    again = world.confirm(token, code, "Another-horse-8")
    assert (again.status_code, again.json_body["code"]) == (410, "code-expired")


def test_a_lost_answer_may_be_asked_for_again(world: World) -> None:
    """The same recovery, code and password get the same answer, and nothing changes."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    first = world.confirm(token, code)
    version = world.login_item().password_version
    second = world.confirm(token, code)
    assert second.status_code == 200
    assert second.json_body == first.json_body
    assert world.login_item().password_version == version


def test_wrong_codes_are_counted_down_and_end(world: World) -> None:
    """Five wrong tries end a code; the right one comes too late then."""
    token = world.token()
    world.send(token)
    right = world.phones.codes[0]
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    left = []
    for _ in range(5):
        answer = world.confirm(token, wrong)
        assert (answer.status_code, answer.json_body["code"]) == (400, "code-wrong")
        left.append(answer.json_body["attempts_left"])
    assert left == [4, 3, 2, 1, 0]
    late = world.confirm(token, right)
    assert (late.status_code, late.json_body["code"]) == (429, "too-many-attempts")
    assert "Retry-After" not in late.headers


def test_the_day_s_cap_holds_across_codes(world: World) -> None:
    """A new code gives five new tries, never more than ten wrong ones in a day."""
    token = world.token()
    for _ in range(2):
        world.send(token)
        wrong = f"{(int(world.phones.codes[-1]) + 1) % 1_000_000:06d}"
        for _ in range(5):
            assert world.confirm(token, wrong).json_body["code"] == "code-wrong"
        world.clock.time += 61
    refused = world.send(token)
    assert (refused.status_code, refused.json_body["code"]) == (429, "too-many-attempts")
    assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
    world.clock.time += 86_400
    assert world.send(world.token()).status_code == 202


def test_a_code_ends_after_five_minutes(world: World) -> None:
    """The item is still in the table, and the code in it is over."""
    token = world.token()
    world.send(token)
    world.clock.time += 300
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_a_resend_ends_the_earlier_code(world: World) -> None:
    """After a minute a new code may be had, and the old one is wrong from then on."""
    token = world.token()
    world.send(token)
    early = world.send(token)
    assert (early.status_code, early.json_body["code"]) == (429, "too-many-requests")
    assert early.headers["Retry-After"] == "60"
    world.clock.time += 60
    assert world.send(token).status_code == 202
    first, second = world.phones.codes
    if first != second:
        assert world.confirm(token, first).json_body["code"] == "code-wrong"
    assert world.confirm(token, second).status_code == 200


def test_a_weak_password_costs_no_attempt(world: World) -> None:
    """The policy is asked before anything is counted, and says all reasons at once."""
    token = world.token()
    world.send(token)
    for _ in range(12):
        answer = world.confirm(token, world.phones.codes[0], "11010148")
        assert (answer.status_code, answer.json_body["code"]) == (422, "weak-password")
        assert len(answer.json_body["reasons"]) == 2
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_another_recovery_ends_with_the_new_password(world: World) -> None:
    """A second recovery that was open beside the first is over once the first has succeeded."""
    first, second = world.token(), world.token()
    world.send(first)
    assert world.confirm(first, world.phones.codes[0]).status_code == 200
    world.clock.time += 60
    answer = world.send(second)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_a_second_wechat_never_takes_the_binding_over(world: World) -> None:
    """Two recoveries in two WeChats: the first to finish is bound, the other gets nowhere."""
    alice, mallory = world.token(openid="o-alice"), world.token(openid="o-mallory")
    world.send(alice)
    code = world.phones.codes[0]
    assert world.confirm(alice, code).status_code == 200
    assert world.confirm(mallory, code).status_code == 410
    assert world.login_item().openid == "o-alice"
    assert world.start(openid="o-mallory").json_body["method"] == "wechat"


def test_a_changed_phone_ends_the_recovery(world: World) -> None:
    """A code that went to the old phone sets no password once the phone is another."""
    token = world.token()
    world.send(token)
    item = world.login_item()
    item.phone = "+8613900005678"
    item.save()
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")
    assert world.service.hasher.verify(world.login_item().password_hash, "Opening-password-1")


def test_the_two_logins_of_a_firm_are_two(world: World) -> None:
    """A code of the main login is nothing to the finance login, and they share their phone's minute."""
    main, finance = world.token(), world.token("11010148_CW")
    world.send(main)
    shared = world.send(finance)
    assert (shared.status_code, shared.json_body["code"]) == (429, "too-many-requests")
    answer = world.confirm(finance, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_every_gateway_refusing_costs_nothing(world: World) -> None:
    """delivery-failed, and the very next try goes out."""
    world.phones.outcomes = [Outcome.TRY_ANOTHER]
    token = world.token()
    failed = world.send(token)
    assert (failed.status_code, failed.json_body["code"]) == (502, "delivery-failed")
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200


def test_a_silent_gateway_counts_as_sent(world: World) -> None:
    """No second SMS goes out after a time-out, and the code works if the first one arrives."""
    world.phones.outcomes = [Outcome.UNKNOWN]
    token = world.token()
    assert world.send(token).status_code == 202
    assert world.send(token).status_code == 429
    assert len(world.phones.sent) == 1
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_progress_is_told_to_the_page_that_waits(world: World) -> None:
    """A PC's recovery follows the phone's: open, then a code sent, then done."""
    pc, phone = world.token(openid=None), world.token()

    def state() -> dict[str, Any]:
        return dict(world.call("GET", "/recovery", token=pc).json_body)

    assert state() == {"login": "11010148", "method": "follow", "state": "open"}
    world.send(phone)
    assert state()["state"] == "code_sent"
    world.confirm(phone, world.phones.codes[0])
    assert state()["state"] == "done"


@pytest.mark.parametrize("login", ["99999999", "99999999_cw"])
def test_an_unknown_login_is_said_to_be_one(world: World, login: str) -> None:
    """Firm numbers are public, so the plain word helps people and nobody else."""
    answer = world.start(login)
    assert (answer.status_code, answer.json_body["code"]) == (404, "account-not-found")


def test_a_login_without_a_phone_gets_the_manual_s_sentence(world: World) -> None:
    """The sentence is the one that the manual prints, to the letter."""
    add_firm(world.service.hasher, "31000001", phone=None)
    answer = world.start("31000001")
    assert (answer.status_code, answer.json_body["code"]) == (409, "phone-not-bound")
    assert answer.json_body["detail"] == "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"


def test_thirty_starts_an_hour_and_no_more(world: World) -> None:
    """The thirty-first start of a login within an hour waits for the first to be an hour old."""
    for _ in range(30):
        assert world.start().status_code == 201
        world.clock.time += 10
    refused = world.start()
    assert (refused.status_code, refused.json_body["code"]) == (429, "too-many-requests")
    assert refused.headers["Retry-After"] == str(3600 - 300)
    world.clock.time += 3300
    assert world.start().status_code == 201
