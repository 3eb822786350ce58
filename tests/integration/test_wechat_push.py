"""The push of a code by template message: what each answer of WeChat means for the person."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.models import AuditItem, CodeItem, DestinationItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.callbacks import TAPPED, tell
from tests.support.official_account import code_in
from tests.support.wechat_platform import (
    BUSY,
    INFO,
    SEND,
    SENT,
    STABLE,
    STALE,
    WeChat,
    alarms,
    playing,
    refusal,
)

FOLLOWS = {"subscribe": 1, "openid": "o-alice"}
HAS_LEFT = {"subscribe": 0, "openid": "o-alice"}


@pytest.fixture
def wechat() -> Any:
    """WeChat's platform, whose answers the test chooses; o-alice follows."""
    with playing() as platform:
        platform.answers[INFO] = [FOLLOWS]
        yield platform


@pytest.fixture
def world(make_world: MakeWorld, wechat: WeChat) -> World:
    """A firm whose logins are bound to o-alice, and an account that has a template."""
    world = make_world(WECHAT_API_URL=wechat.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    return world


def last_send() -> AuditItem:
    """What the audit says of the last code."""
    return [item for item in AuditItem.query("11010148") if item.event == "code-sent"][-1]


def counted(world: World) -> int:
    """Sends that stand against the login and the WeChat."""
    code = CodeItem.get("code#11010148")
    to = DestinationItem.get(world.service.codes.destination_id("wechat", "o-alice"))
    assert len(code.sends) == len(to.sends)
    return len(code.sends)


def fetched(world: World) -> str:
    """What the menu item 获取验证码 brings."""
    world.clock.time += 1
    return tell(world, TAPPED)


def test_a_push_that_is_taken_is_sent(world: World, wechat: WeChat) -> None:
    """The message's name is kept, by which its receipt will be known."""
    wechat.answers[SEND] = [SENT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "sent")
    send = last_send()
    assert (send.gateway, send.outcome) == ("wechat-template", "sent")
    assert send.message_id == str(SENT["msgid"])
    assert counted(world) == 1


def test_a_pushed_code_may_be_fetched_as_well(world: World, wechat: WeChat) -> None:
    """Who overlooks the message taps the menu item, and gets the same code."""
    wechat.answers[SEND] = [SENT]
    token = world.token()
    world.send(token)
    assert world.confirm(token, code_in(fetched(world)), "Another-horse-8").status_code == 200


def test_who_does_not_follow_is_offered_unbinding(world: World, wechat: WeChat) -> None:
    """43004: the sentence says how to go on, nothing is counted, and the next try is free."""
    wechat.answers[SEND] = [refusal(43004, "require subscribe")]
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (409, "not-following")
    assert "解绑公众号" in answer.json_body["detail"]
    assert counted(world) == 0
    assert (last_send().outcome, last_send().reason) == ("failed", "not-following")
    assert world.service.followers.is_following("o-alice") is False
    assert "没有可领取的验证码" in fetched(world)
    wechat.answers[SEND] = [SENT]
    assert world.send(token).status_code == 202


@pytest.mark.parametrize(
    "errcode",
    [40037, 47003, 48001, 45009, 40164, 43101, 43019, 40003],
)
def test_a_refused_push_is_fetched_instead(world: World, wechat: WeChat, errcode: int) -> None:
    """Whatever the fault of the account or the wish of the person: the code waits in the account."""
    wechat.answers[SEND] = [refusal(errcode)]
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "pull")
    send = last_send()
    assert (send.gateway, send.reason) == ("wechat-pull", f"template refused: {errcode}")
    assert counted(world) == 1
    assert world.confirm(token, code_in(fetched(world)), "Another-horse-8").status_code == 200


@pytest.mark.parametrize("errcode", [40164, 40125])
def test_an_account_without_a_token_is_no_hindrance(
    world: World, wechat: WeChat, caplog: pytest.LogCaptureFixture, errcode: int
) -> None:
    """Its address is not on the list, say: somebody is woken, and the person fetches the code."""
    tell(world, {"MsgType": "event", "Event": "subscribe"})
    wechat.answers[STABLE] = [refusal(errcode)]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "pull")
    assert alarms(caplog) == [f"wechat-{errcode}"]
    assert code_in(fetched(world))


def test_a_refused_push_to_who_has_left_is_no_code(world: World, wechat: WeChat) -> None:
    """They could not fetch it either."""
    wechat.answers[SEND], wechat.answers[INFO] = [refusal(45009)], [HAS_LEFT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["code"]) == (409, "not-following")
    assert counted(world) == 0


@pytest.mark.parametrize("silence", [None, (502, b""), {"msgid": 1, "errmsg": "ok"}], ids=str)
def test_a_push_without_an_answer_counts_as_sent(
    world: World, wechat: WeChat, silence: object
) -> None:
    """It may have arrived, so it is not sent again; the code may be fetched, too."""
    wechat.answers[SEND] = [silence]
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "sent")
    assert last_send().outcome == "unknown"
    assert last_send().message_id is None
    assert len(wechat.asked(SEND)) == 1
    assert world.send(token).json_body["code"] == "too-many-requests"
    assert world.confirm(token, code_in(fetched(world)), "Another-horse-8").status_code == 200


@pytest.mark.parametrize(
    "answers",
    [{SEND: [BUSY]}, {STABLE: [None]}, {STABLE: [BUSY]}],
    ids=["busy", "no answer to the token", "busy at the token"],
)
def test_a_push_that_did_not_go_out_costs_nothing(
    world: World, wechat: WeChat, answers: dict[str, list[Any]]
) -> None:
    """unavailable, and the very next try goes out."""
    wechat.answers.update(answers)
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    assert counted(world) == 0
    assert (last_send().outcome, last_send().reason) == ("failed", "unavailable")
    wechat.answers.pop(STABLE, None)
    wechat.answers[SEND] = [SENT]
    assert world.send(token).status_code == 202


def test_a_busy_platform_gets_the_same_message_again(world: World, wechat: WeChat) -> None:
    """After a pause, under the same client_msg_id, so that the person gets one."""
    wechat.answers[SEND] = [BUSY, SENT]
    assert world.send(world.token()).json_body["delivery"] == "sent"
    first, second = wechat.asked(SEND)
    assert first.body == second.body
    assert b"client_msg_id" in first.body


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_token_revoked_midway_costs_no_message(
    world: World, wechat: WeChat, errcode: int
) -> None:
    """One refresh, one repeat, and the person notices nothing."""
    wechat.answers[SEND] = [{**STALE, "errcode": errcode}, SENT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "sent")
    assert (len(wechat.asked(SEND)), wechat.tokens) == (2, 2)
    assert last_send().outcome == "sent"


def test_who_never_followed_is_not_said_to_have_left(world: World, wechat: WeChat) -> None:
    """A WeChat can be bound without following; the sentence is true of it as well."""
    wechat.answers[SEND] = [refusal(43004, "require subscribe")]
    assert "尚未关注" in world.send(world.token()).json_body["detail"]
