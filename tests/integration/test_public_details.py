"""An attacker has all three details of a firm, which are public."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.catalogue import NOTICE_TITLES
from chalicelib.store import bindings
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from chalicelib.store.requester_times import dropping, times_by
from tests.conftest import PASSWORD, PHONE, World, add_firm
from tests.support.official_account import MakeWechatWorld, Phone, WechatWorld

PUBLIC = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}
MALLORY = "Mallory-horse-9"


def bound(wechat_world: WechatWorld) -> Phone:
    """Recover once as Alice, so that her WeChat is bound."""
    alice = wechat_world.phone("o-alice")
    alice.follow()
    token = wechat_world.world.token()
    wechat_world.world.send(token)
    assert wechat_world.world.confirm(token, wechat_world.world.phones.codes[-1]).status_code == 200
    wechat_world.world.clock.time += 3600
    return alice


def events(login: str = "11010148") -> list[str]:
    return [item.event for item in AuditItem.query(login) if item.occurrences is None]


def test_public_details_lead_no_further_than_an_sms(wechat_world: WechatWorld) -> None:
    """The attacker undoes the binding, but the code goes to the firm's phone."""
    alice = bound(wechat_world)
    mallory = wechat_world.phone("o-mallory")
    mallory.follow()
    mallory.browse(mallory.tap("找回密码"))
    started = mallory.start("11010148").json_body
    assert started["method"] == "wechat"
    token = started["token"]

    # Before the unbinding the code goes to Alice's WeChat, and Mallory's receives none.
    assert wechat_world.world.send(token).json_body["method"] == "wechat"
    assert "没有可领取的验证码" in mallory.tap("获取验证码")

    # The unbinding notifies Alice by SMS and by WeChat.
    done = wechat_world.world.call("POST", "/recovery/unbinding", PUBLIC, token=token)
    assert (done.status_code, done.json_body) == (200, {"login": "11010148", "method": "sms"})
    notice = wechat_world.world.phones.sent[-1]
    assert (notice.to, notice.template) == (PHONE, "wechat-unbound")
    assert "010-88250337/0338" in notice.text
    assert alice.chat[-1].splitlines()[:2] == [NOTICE_TITLES["wechat-unbound"], "11010148"]
    unbound = [item for item in AuditItem.query("11010148") if item.event == "wechat-unbound"]
    assert [(item.actor, item.method) for item in unbound] == [("person", "wechat")]

    # The code that Alice received before has ended with the binding.
    old = alice.chat[-2].splitlines()[1]
    refused = wechat_world.world.confirm(token, old, MALLORY)
    assert (refused.status_code, refused.json_body["code"]) == (410, "code-expired")

    # The method is SMS now, to the firm's bound phone.
    sent = wechat_world.world.send(token).json_body
    assert (sent["method"], sent["destination"]) == ("sms", "138****1234")
    assert wechat_world.world.phones.sent[-1].to == PHONE
    assert "没有可领取的验证码" in mallory.tap("获取验证码")

    # Guessing ends with the attempts of the code.
    right = int(wechat_world.world.phones.codes[-1])
    for number in range(5):
        guess = f"{(right + 1 + number) % 1_000_000:06d}"
        assert wechat_world.world.confirm(token, guess, MALLORY).json_body["code"] == "code-wrong"
    assert wechat_world.world.confirm(token, f"{right:06d}", MALLORY).status_code == 429

    # Alice loses only the binding: her password is unchanged, and she can bind again.
    item = wechat_world.world.login_item()
    assert item.openid is None
    assert wechat_world.world.service.hasher.verify(item.password_hash, PASSWORD)
    wechat_world.world.clock.time += 60
    hers = wechat_world.world.token()
    wechat_world.world.send(hers)
    assert (
        wechat_world.world.confirm(
            hers, wechat_world.world.phones.codes[-1], "Alice-horse-11"
        ).status_code
        == 200
    )
    assert wechat_world.world.login_item().openid == "o-alice"
    assert Counter(events()) == {"code-sent": 4, "password-recovered": 2, "wechat-unbound": 1}


def test_a_login_without_a_phone_keeps_its_binding(wechat_world: WechatWorld) -> None:
    """Unbinding would leave no method, and is refused with the manual's sentence."""
    world = wechat_world.world
    add_firm(world.service.hasher, "31000001", phone=None, finance_phone=None, openid="o-alice")
    details = {**PUBLIC, "firm_no": "31000001"}
    token = world.token("31000001", "o-mallory")
    refused = world.call("POST", "/recovery/unbinding", details, token=token)
    assert (refused.status_code, refused.json_body["code"]) == (409, "phone-not-bound")
    assert world.login_item("31000001").openid == "o-alice"
    assert events("31000001") == []


BOUND = {**PUBLIC, "firm_no": "31000001"}
WRONG = {**BOUND, "head_name": "张三"}


def unbind(world: World, details: dict[str, str], openid: str | None) -> HTTPResponse:
    """Begin a recovery of the bound login in this WeChat, and enter the details."""
    token = world.token("31000001", openid)
    return world.call("POST", "/recovery/unbinding", details, token=token)


def test_a_requester_has_five_attempts_a_day(world: World) -> None:
    """In all its recoveries together; the limit ends after a day, and is nobody else's."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    for _ in range(5):
        assert unbind(world, WRONG, "o-mallory").json_body["code"] == "details-do-not-match"
    refused = unbind(world, BOUND, "o-mallory")
    assert (refused.status_code, refused.json_body["code"]) == (429, "too-many-requests")
    assert refused.headers["Retry-After"] == "86400"
    assert world.login_item("31000001").openid == "o-alice"
    world.clock.time += 86_400
    assert unbind(world, BOUND, "o-mallory").status_code == 200


def test_parallel_attempts_share_the_limit(real_world: World) -> None:
    """Also the first ones of the day, which create the map of attempts."""
    add_firm(real_world.service.hasher, "31000001", openid="o-alice")
    tokens = [real_world.token("31000001", f"o-{number % 2}") for number in range(16)]

    def attempt(token: str) -> int:
        return real_world.call("POST", "/recovery/unbinding", WRONG, token=token).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, tokens))
    assert (answers.count(403), answers.count(429)) == (10, 6)
    assert unbind(real_world, BOUND, "o-owner").status_code == 200
    assert real_world.login_item("31000001").openid is None


def test_strangers_attempts_leave_the_owner_its_own(world: World) -> None:
    """Whatever their number; an address has three times those of a WeChat."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    for number in range(12):
        assert unbind(world, WRONG, f"o-{number}").status_code == 403
    for _ in range(15):
        assert unbind(world, WRONG, None).status_code == 403
    assert unbind(world, WRONG, None).status_code == 429
    assert unbind(world, BOUND, "o-owner").status_code == 200


def test_a_login_is_unbound_three_times_a_day(world: World) -> None:
    """By whomever; a binding that comes back stays from then on."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    for number in range(3):
        assert unbind(world, BOUND, f"o-{number}").status_code == 200
        LoginItem("31000001").update([LoginItem.openid.set("o-alice")])
    refused = unbind(world, BOUND, "o-3")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "86400")
    assert world.login_item("31000001").openid == "o-alice"
    world.clock.time += 86_400
    assert unbind(world, BOUND, "o-3").status_code == 200


def test_attempts_of_long_ago_are_dropped(world: World) -> None:
    """A login's item keeps ten requesters, and those of the last day."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    for number in range(14):
        unbind(world, WRONG, f"o-{number}")
    by = times_by(CodeItem.get("code#31000001").details_by)
    assert len(by) == 14
    world.clock.time += 80_000
    unbind(world, WRONG, "o-13")
    world.clock.time += 6_400
    unbind(world, WRONG, "o-new")
    by = times_by(CodeItem.get("code#31000001").details_by)
    assert sorted(map(len, by.values())) == [1, 2]


def test_an_unfollowed_wechat_is_notified_by_sms(make_wechat_world: MakeWechatWorld) -> None:
    """The failure of the notice by WeChat undoes nothing."""
    wechat_world = make_wechat_world()
    bound(wechat_world).leave()
    token = wechat_world.world.token(openid="o-mallory")
    done = wechat_world.world.call("POST", "/recovery/unbinding", PUBLIC, token=token)
    assert done.status_code == 200
    assert wechat_world.world.phones.sent[-1].template == "wechat-unbound"


def test_the_details_of_a_firm_that_was_deleted_do_not_match(world: World) -> None:
    """The answer is that of a wrong detail, and the attempt counts."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    token = world.token("31000001", "o-mallory")
    FirmItem.get("31000001").delete()
    answer = world.call("POST", "/recovery/unbinding", BOUND, token=token)
    assert (answer.status_code, answer.json_body["code"]) == (403, "details-do-not-match")
    assert answer.json_body["attempts_left"] == 4
    assert world.login_item("31000001").openid == "o-alice"


def test_attempts_that_cannot_be_dropped_stay_until_a_later_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt itself has been counted, and is answered."""
    add_firm(world.service.hasher, "31000001", openid="o-alice")
    by = {**{f"{number:016x}": [1] for number in range(13)}, "d" * 16: []}
    CodeItem("code#31000001").update([CodeItem.details_by.set(by)])

    def overtaken(*arguments: Any) -> Any:
        # Another attempt of the oldest requester is counted first.
        oldest = CodeItem.details_by["0" * 16]
        CodeItem("code#31000001").update([oldest.set([world.clock.time])])
        return dropping(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bindings, "dropping", overtaken)
        assert unbind(world, WRONG, "o-mallory").status_code == 403
    assert len(times_by(CodeItem.get("code#31000001").details_by)) == 15
    assert unbind(world, WRONG, "o-mallory").status_code == 403
    kept = times_by(CodeItem.get("code#31000001").details_by)
    assert sorted(map(len, kept.values())) == [1, 2]
