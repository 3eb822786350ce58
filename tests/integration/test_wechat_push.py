"""The push of a code by template message, for each answer of WeChat."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.store import followers
from chalicelib.store.ephemeral_models import CodeItem, DestinationItem
from chalicelib.store.models import AuditItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.callbacks import TAPPED, send_message
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
    """WeChat's platform with the test's answers; o-alice follows."""
    with playing() as platform:
        platform.answers[INFO] = [FOLLOWS]
        yield platform


@pytest.fixture
def world(make_world: MakeWorld, wechat: WeChat) -> World:
    """A firm whose logins are bound to o-alice, and an account with a template."""
    world = make_world(WECHAT_API_URL=wechat.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    return world


def last_send() -> AuditItem:
    """Return the audit event of the last send."""
    return [item for item in AuditItem.query("11010148") if item.event == "code-sent"][-1]


def counted(world: World) -> int:
    """Return the number of sends that count against the login and the WeChat."""
    code = CodeItem.get("code#11010148")
    to = DestinationItem.get(world.service.codes.destination_id("wechat", "o-alice"))
    assert len(code.sends) == len(to.sends)
    return len(code.sends)


def fetched(world: World) -> str:
    """Return the reply to the menu item 获取验证码."""
    world.clock.time += 1
    return send_message(world, TAPPED)


def test_an_accepted_push_is_sent(world: World, wechat: WeChat) -> None:
    """The message id is stored, by which its receipt is found."""
    wechat.answers[SEND] = [SENT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "sent")
    send = last_send()
    assert (send.gateway, send.outcome) == ("wechat-template", "sent")
    assert send.message_id == str(SENT["msgid"])
    assert counted(world) == 1


def test_a_pushed_code_can_be_fetched_as_well(world: World, wechat: WeChat) -> None:
    """The menu item returns the same code."""
    wechat.answers[SEND] = [SENT]
    token = world.token()
    world.send(token)
    assert world.confirm(token, code_in(fetched(world)), "Another-horse-8").status_code == 200


def test_a_person_who_does_not_follow_is_offered_unbinding(world: World, wechat: WeChat) -> None:
    """Errcode 43004: nothing is counted, and the next request is possible at once."""
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
    """For any other refusal the code can be fetched in the account."""
    wechat.answers[SEND] = [refusal(errcode)]
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "pull")
    send = last_send()
    assert (send.gateway, send.reason) == ("wechat-pull", f"template refused: {errcode}")
    assert counted(world) == 1
    assert world.confirm(token, code_in(fetched(world)), "Another-horse-8").status_code == 200


@pytest.mark.parametrize("errcode", [40164, 40125])
def test_without_an_access_token_the_code_is_fetched(
    world: World, wechat: WeChat, caplog: pytest.LogCaptureFixture, errcode: int
) -> None:
    """For example where the IP address is not allowed: an alarm is raised."""
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    wechat.answers[STABLE] = [refusal(errcode)]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "pull")
    assert alarms(caplog) == [f"wechat-{errcode}"]
    assert code_in(fetched(world))


def test_a_refused_push_to_a_former_follower_fails(world: World, wechat: WeChat) -> None:
    """They could not fetch the code either."""
    wechat.answers[SEND], wechat.answers[INFO] = [refusal(45009)], [HAS_LEFT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["code"]) == (409, "not-following")
    assert counted(world) == 0


@pytest.mark.parametrize("no_answer", [None, (502, b""), {"msgid": 1, "errmsg": "ok"}], ids=str)
def test_a_push_without_an_answer_counts_as_sent(
    world: World, wechat: WeChat, no_answer: object
) -> None:
    """It may have arrived, so that it is not repeated; the code can be fetched as well."""
    wechat.answers[SEND] = [no_answer]
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
def test_a_failed_push_is_not_counted(
    world: World, wechat: WeChat, answers: dict[str, list[Any]]
) -> None:
    """The answer is `unavailable`, and the next request is sent at once."""
    wechat.answers.update(answers)
    token = world.token()
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    assert counted(world) == 0
    assert (last_send().outcome, last_send().reason) == ("failed", "unavailable")
    wechat.answers.pop(STABLE, None)
    wechat.answers[SEND] = [SENT]
    assert world.send(token).status_code == 202


def test_a_push_to_a_busy_platform_is_repeated(world: World, wechat: WeChat) -> None:
    """After a pause and with the same client_msg_id, so that one message arrives."""
    wechat.answers[SEND] = [BUSY, SENT]
    assert world.send(world.token()).json_body["delivery"] == "sent"
    first, second = wechat.asked(SEND)
    assert first.body == second.body
    assert b"client_msg_id" in first.body


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_revoked_token_is_renewed(world: World, wechat: WeChat, errcode: int) -> None:
    """The push is repeated once with the new token."""
    wechat.answers[SEND] = [{**STALE, "errcode": errcode}, SENT]
    answer = world.send(world.token())
    assert (answer.status_code, answer.json_body["delivery"]) == (202, "sent")
    assert (len(wechat.asked(SEND)), wechat.tokens) == (2, 2)
    assert last_send().outcome == "sent"


def test_a_person_who_never_followed_has_the_right_message(world: World, wechat: WeChat) -> None:
    """A WeChat can be bound without following; the message includes that case."""
    wechat.answers[SEND] = [refusal(43004, "require subscribe")]
    assert "尚未关注" in world.send(world.token()).json_body["detail"]


def test_the_end_of_a_following_need_not_be_stored(
    world: World, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person is shown the QR code; the next send asks WeChat again."""

    def fail(*_: object) -> None:
        raise Unavailable("store")

    token = world.token()
    wechat.answers[SEND] = [refusal(43004)]
    monkeypatch.setattr(followers, "update", fail)
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (409, "not-following")
    assert world.service.followers.is_following("o-alice") is None
