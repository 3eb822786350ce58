"""The recovery by SMS, through the HTTP API."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.services.password_policy import PasswordPolicy
from chalicelib.sms.gateway import Outcome
from tests.conftest import PASSWORD, World, add_firm
from tests.security.actions import InterruptingHasher
from tests.support.receipt_cases import TENCENT_ID, Make, SmsVendors, code_sent


def test_an_old_password_is_replaced_and_the_wechat_bound(world: World) -> None:
    """A complete recovery: start, code, password; the old password is wrong afterwards."""
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
    """A used code is expired for any other password."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    assert world.confirm(token, code).status_code == 200
    again = world.confirm(token, code, "Another-horse-8")
    assert (again.status_code, again.json_body["code"]) == (410, "code-expired")


def test_a_completed_recovery_can_be_repeated(world: World) -> None:
    """The same recovery, code and password have the same answer and change nothing."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    first = world.confirm(token, code)
    version = world.login_item().password_version
    second = world.confirm(token, code)
    assert second.status_code == 200
    assert second.json_body == first.json_body
    assert world.login_item().password_version == version


@pytest.mark.parametrize(
    ("first", "status"), [(PASSWORD, 200), ("Another-horse-8", 410)], ids=["same", "another"]
)
def test_a_repeat_that_overtakes_its_request(world: World, first: str, status: int) -> None:
    """A button pressed twice, or a browser that sends again: the same request has the same answer."""
    overtaking: list[int] = []

    def overtake() -> None:
        if not overtaking:
            overtaking.append(0)
            overtaking[0] = world.confirm(token, code, first).status_code

    InterruptingHasher(world, overtake)
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    answer = world.confirm(token, code, PASSWORD)
    assert (overtaking, answer.status_code) == ([200], status)
    assert int(world.login_item().password_version) == 2
    assert world.service.hasher.verify(world.login_item().password_hash, first)
    if status == 200:
        assert answer.json_body["wechat_bound"] is True
    else:
        assert answer.json_body["reason"] == "used"


def test_a_refused_password_that_a_better_one_overtakes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recovery has ended, by the password that was set in between."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[0]
    weaknesses = PasswordPolicy.private_weaknesses
    statuses: list[int] = []

    def overtaken(policy: PasswordPolicy, password: str, *facts: Any) -> list[str]:
        if password != PASSWORD:
            statuses.append(world.confirm(token, code).status_code)
        return weaknesses(policy, password, *facts)

    monkeypatch.setattr(PasswordPolicy, "private_weaknesses", overtaken)
    refused = world.confirm(token, code, "Mine13800001234")
    assert (statuses, refused.json_body["code"]) == ([200], "recovery-expired")
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)


def test_a_code_has_five_attempts(world: World) -> None:
    """After five wrong attempts the right code is refused as well."""
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


def test_wrong_codes_are_limited_per_day(world: World) -> None:
    """A new code has five attempts, but a login never more than ten wrong ones in a day."""
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
    """Also while its item is still in the table."""
    token = world.token()
    world.send(token)
    world.clock.time += 300
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_a_resend_ends_the_earlier_code(world: World) -> None:
    """A new code can be requested after a minute; the old one is wrong then."""
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
    """The policy is applied before anything is counted, and returns all reasons at once."""
    token = world.token()
    world.send(token)
    for _ in range(12):
        answer = world.confirm(token, world.phones.codes[0], "11010148")
        assert (answer.status_code, answer.json_body["code"]) == (422, "weak-password")
        assert len(answer.json_body["reasons"]) == 3
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_another_recovery_ends_with_the_new_password(world: World) -> None:
    """A second recovery of the login ends when the first one succeeds."""
    first, second = world.token(), world.token()
    world.send(first)
    assert world.confirm(first, world.phones.codes[0]).status_code == 200
    world.clock.time += 60
    answer = world.send(second)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_a_second_wechat_cannot_replace_the_binding(world: World) -> None:
    """Of recoveries in two WeChats the first to finish is bound, the other is refused."""
    alice, mallory = world.token(openid="o-alice"), world.token(openid="o-mallory")
    world.send(alice)
    code = world.phones.codes[0]
    assert world.confirm(alice, code).status_code == 200
    assert world.confirm(mallory, code).status_code == 410
    assert world.login_item().openid == "o-alice"
    assert world.start(openid="o-mallory").json_body["method"] == "wechat"


def test_a_changed_phone_ends_the_recovery(world: World) -> None:
    """A code sent to the old phone sets no password after the phone has changed."""
    token = world.token()
    world.send(token)
    item = world.login_item()
    item.phone = "+8613900005678"
    item.save()
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")
    assert world.service.hasher.verify(world.login_item().password_hash, "Opening-password-1")


def test_a_firm_s_two_logins_have_separate_codes(world: World) -> None:
    """A code of one is refused for the other, but the limit of their phone is common."""
    main, finance = world.token(), world.token("11010148_CW")
    world.send(main)
    shared = world.send(finance)
    assert (shared.status_code, shared.json_body["code"]) == (429, "too-many-requests")
    answer = world.confirm(finance, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


def test_a_failed_delivery_is_not_counted(world: World) -> None:
    """The answer is delivery-failed, and the next request is sent at once."""
    world.phones.outcomes = [Outcome.TRY_ANOTHER]
    token = world.token()
    failed = world.send(token)
    assert (failed.status_code, failed.json_body["code"]) == (502, "delivery-failed")
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200


@pytest.mark.parametrize("code", ["isv.BLACK_KEY_CONTROL_LIMIT", "isv.SMS_CONTENT_ILLEGAL"])
def test_a_refusal_that_concerns_the_vendor_uses_the_next_gateway(
    make: Make, vendors: SmsVendors, code: str
) -> None:
    """A word in the variables that one vendor forbids is no fault of the number."""
    world = make("aliyun,tencent")
    vendors.aliyun_says[0] = code
    sent = code_sent(world)
    assert (sent.gateway, sent.outcome, sent.message_id) == ("tencent", "sent", TENCENT_ID)


def test_a_refusal_that_concerns_the_number_ends_the_send(make: Make, vendors: SmsVendors) -> None:
    """No other vendor is tried, and nothing is counted against the person."""
    world = make("aliyun,tencent")
    vendors.aliyun_says[0] = "isv.MOBILE_NUMBER_ILLEGAL"
    assert world.send(world.token()).json_body["code"] == "delivery-failed"
    assert len(vendors.received) == 1
    vendors.aliyun_says[0] = "OK"
    assert code_sent(world).gateway == "aliyun"


def test_a_time_out_of_a_gateway_counts_as_sent(world: World) -> None:
    """No second SMS is sent, and the code is right if the first one arrives."""
    world.phones.outcomes = [Outcome.UNKNOWN]
    token = world.token()
    assert world.send(token).status_code == 202
    assert world.send(token).status_code == 429
    assert len(world.phones.sent) == 1
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_a_page_polls_its_own_progress(world: World) -> None:
    """The states are open, code_sent and done."""
    phone = world.token()

    def state() -> dict[str, Any]:
        return dict(world.call("GET", "/recovery", token=phone).json_body)

    assert state() == {"login": "11010148", "method": "sms", "state": "open"}
    world.send(phone)
    assert state()["state"] == "code_sent"
    world.confirm(phone, world.phones.codes[0])
    assert state()["state"] == "done"


@pytest.mark.parametrize("login", ["99999999", "99999999_cw"])
def test_an_unknown_login_is_reported(world: World, login: str) -> None:
    """Firm numbers are public, so that the answer discloses nothing."""
    answer = world.start(login)
    assert (answer.status_code, answer.json_body["code"]) == (404, "account-not-found")


def test_a_login_without_a_phone_gets_the_manual_s_sentence(world: World) -> None:
    """The detail is exactly the manual's sentence."""
    add_firm(world.service.hasher, "31000001", phone=None)
    answer = world.start("31000001")
    assert (answer.status_code, answer.json_body["code"]) == (409, "phone-not-bound")
    assert answer.json_body["detail"] == "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"


def test_a_requester_has_ten_starts_of_a_login_per_hour(world: World) -> None:
    """The eleventh is refused until the first is an hour old."""
    for _ in range(10):
        assert world.start().status_code == 201
        world.clock.time += 10
    refused = world.start()
    assert (refused.status_code, refused.json_body["code"]) == (429, "too-many-requests")
    assert refused.headers["Retry-After"] == str(3600 - 100)
    world.clock.time += 3500
    assert world.start().status_code == 201
