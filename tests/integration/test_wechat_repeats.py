"""WeChat delivers a message up to three times, also concurrently: one effect, one reply."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from chalicelib.handlers import wechat as handler
from chalicelib.store import models
from chalicelib.store.ephemeral_models import SeenItem
from chalicelib.store.models import AuditItem, FollowerItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.callbacks import TAPPED, post, said, send_message, signed
from tests.support.official_account import code_in
from tests.support.wechat_platform import SEND, SENT, WeChat, alarms, playing

SUBSCRIBED = {"MsgType": "event", "Event": "subscribe", "EventKey": ""}
LEFT = {"MsgType": "event", "Event": "unsubscribe"}
ASKED = {"MsgType": "text", "MsgId": 23_456, "Content": "验证码"}
RECEIPT = {
    "MsgType": "event",
    "Event": "TEMPLATESENDJOBFINISH",
    "MsgID": SENT["msgid"],
    "Status": "failed:user block",
}


@pytest.fixture
def platform() -> Iterator[WeChat]:
    """WeChat's platform, which accepts every message."""
    with playing() as wechat:
        wechat.answers[SEND] = [SENT]
        yield wechat


@pytest.fixture
def real_world(make_real_world: MakeWorld, platform: WeChat) -> World:
    """A world on DynamoDB Local, whose logins are bound to o-alice."""
    world = make_real_world(WECHAT_API_URL=platform.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    return world


def deliver_thrice(world: World, fields: Mapping[str, object]) -> set[str]:
    """Deliver one message three times concurrently, encrypted and signed each time; return the replies."""
    common = {"CreateTime": world.clock.time, **fields}
    deliveries = [signed(world, common) for _ in range(3)]
    assert len({delivery.body for delivery in deliveries}) == 3
    with ThreadPoolExecutor(3) as pool:
        return {
            said(world, answer) for answer in pool.map(lambda one: post(world, one), deliveries)
        }


def scene_event(world: World, event: str) -> dict[str, object]:
    scene = world.service.scenes.make("11010148", world.clock.time + 1800)
    key = f"qrscene_{scene}" if event == "subscribe" else scene
    return {"MsgType": "event", "Event": event, "EventKey": key}


def test_a_message_delivered_three_times_at_once_has_one_answer(real_world: World) -> None:
    """A text that requests the code."""
    real_world.send(real_world.token())
    (answer,) = deliver_thrice(real_world, ASKED)
    assert code_in(answer)
    assert len(list(SeenItem.scan(SeenItem.id.startswith("seen#")))) == 1


def test_a_tap_delivered_three_times_at_once_has_one_answer(real_world: World) -> None:
    """The menu item 获取验证码, without a code and with one."""
    (nothing,) = deliver_thrice(real_world, TAPPED)
    assert "没有可领取的验证码" in nothing
    real_world.clock.time += 1
    real_world.send(real_world.token())
    (answer,) = deliver_thrice(real_world, TAPPED)
    assert code_in(answer)


@pytest.mark.parametrize("event", ["subscribe", "SCAN"])
def test_a_scan_delivered_three_times_at_once_has_one_answer(real_world: World, event: str) -> None:
    """The link with the login."""
    (answer,) = deliver_thrice(real_world, scene_event(real_world, event))
    assert "账号11010148" in answer


def test_follows_and_unfollows_delivered_three_times_at_once_are_stored_once(
    real_world: World,
) -> None:
    """With the time of the event; a late repeat of the first event changes nothing."""
    followed_at = real_world.clock.time
    (welcome,) = deliver_thrice(real_world, SUBSCRIBED)
    assert "欢迎关注" in welcome
    (follower,) = FollowerItem.scan()
    assert (follower.openid, follower.following, follower.since) == ("o-alice", True, followed_at)
    real_world.clock.time += 5
    assert deliver_thrice(real_world, LEFT) == {""}
    assert real_world.service.followers.is_following("o-alice") is False
    deliver_thrice(real_world, {**SUBSCRIBED, "CreateTime": followed_at})
    assert real_world.service.followers.is_following("o-alice") is False


def test_a_receipt_delivered_three_times_at_once_is_stored_once(real_world: World) -> None:
    """With its send."""
    real_world.send(real_world.token())
    assert deliver_thrice(real_world, RECEIPT) == {""}
    (send,) = AuditItem.query("11010148")
    assert (send.receipt, send.reason) == ("failed", "user block")


def test_a_repeat_has_the_same_reply(world: World) -> None:
    """Also where a new code was sent, or the code used, in the meantime."""
    world.login_item().update([models.LoginItem.openid.set("o-alice")])
    send_message(world, SUBSCRIBED)
    message: dict[str, object] = {**ASKED, "CreateTime": world.clock.time}
    before = send_message(world, message)
    assert "没有可领取的验证码" in before
    token = world.token()
    world.send(token)
    assert send_message(world, message) == before
    code = code_in(send_message(world, {**ASKED, "MsgId": 23_457}))
    assert world.confirm(token, code, "Another-horse-8").status_code == 200
    assert code in send_message(world, {**ASKED, "MsgId": 23_457})
    assert "没有可领取的验证码" in send_message(world, {**ASKED, "MsgId": 23_458})


def test_the_stored_reply_is_sealed_and_expires(world: World) -> None:
    """The table has no code in plain text, and the reply expires with the code."""
    world.login_item().update([models.LoginItem.openid.set("o-alice")])
    send_message(world, SUBSCRIBED)
    world.send(world.token())
    code = code_in(send_message(world, ASKED))
    items = boto3.client("dynamodb").scan(TableName="recovery-ephemera")["Items"]
    (seen,) = [item for item in items if item["id"]["S"].startswith("seen#")]
    assert code not in str(seen)
    assert "o-alice" not in str(seen)
    assert int(seen["expires_at"]["N"]) == world.clock.time + 300
    world.clock.time += 300
    assert "没有可领取的验证码" in send_message(
        world, {**ASKED, "CreateTime": world.clock.time - 300}
    )


def test_a_hanging_store_does_not_exceed_wechat_s_time_out(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reply is `success` within WeChat's five seconds, and an alarm is raised."""
    assert handler.DEADLINE < 5
    monkeypatch.setattr(handler, "DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hole.getsockname()[1]}")
        models.bind("recovery")
        began = time.monotonic()
        with caplog.at_level(logging.ERROR):
            assert send_message(world, SUBSCRIBED) == ""
        assert time.monotonic() - began < 5
    assert alarms(caplog) == ["callback"]


def test_a_failing_store_raises_an_alarm_and_has_no_reply(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """For any message, of which nothing is logged."""
    client: Any = boto3.client("dynamodb")
    for table in ("followers", "ephemera"):
        client.delete_table(TableName=f"recovery-{table}")
    for fields in (SUBSCRIBED, LEFT, ASKED, TAPPED, RECEIPT, scene_event(world, "SCAN")):
        caplog.clear()
        assert send_message(world, fields, "o-canary") == ""
        assert alarms(caplog) == ["callback"]
        assert "o-canary" not in caplog.text
