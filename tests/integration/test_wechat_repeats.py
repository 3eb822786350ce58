"""WeChat delivers a message up to three times, also in parallel: one effect, one answer."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from chalicelib.handlers import wechat as door
from chalicelib.store import models
from chalicelib.store.models import AuditItem, FollowerItem, SeenItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.callbacks import TAPPED, post, said, signed, tell
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
    """WeChat's platform, which takes every message."""
    with playing() as wechat:
        wechat.answers[SEND] = [SENT]
        yield wechat


@pytest.fixture
def real_world(make_real_world: MakeWorld, platform: WeChat) -> World:
    """A world on DynamoDB Local, whose logins are bound to o-alice."""
    world = make_real_world(WECHAT_API_URL=platform.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    return world


def thrice(world: World, fields: Mapping[str, object]) -> set[str]:
    """Three deliveries of one message at once, each encrypted and signed anew; what is answered."""
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
    """A person asks for the code by a word."""
    real_world.send(real_world.token())
    (answer,) = thrice(real_world, ASKED)
    assert code_in(answer)
    assert len(list(SeenItem.scan(SeenItem.id.startswith("seen#")))) == 1


def test_a_tap_delivered_three_times_at_once_has_one_answer(real_world: World) -> None:
    """The menu item 获取验证码, with a code and without."""
    (nothing,) = thrice(real_world, TAPPED)
    assert "没有可领取的验证码" in nothing
    real_world.clock.time += 1
    real_world.send(real_world.token())
    (answer,) = thrice(real_world, TAPPED)
    assert code_in(answer)


@pytest.mark.parametrize("event", ["subscribe", "SCAN"])
def test_a_scan_delivered_three_times_at_once_has_one_answer(real_world: World, event: str) -> None:
    """The link with the login, thrice the same."""
    (answer,) = thrice(real_world, scene_event(real_world, event))
    assert "账号11010148" in answer


def test_coming_and_going_delivered_three_times_at_once_is_kept_once(real_world: World) -> None:
    """One follower, with the time of the event; and a late repeat of the first undoes nothing."""
    followed_at = real_world.clock.time
    (welcome,) = thrice(real_world, SUBSCRIBED)
    assert "欢迎关注" in welcome
    (follower,) = FollowerItem.scan()
    assert (follower.openid, follower.following, follower.since) == ("o-alice", True, followed_at)
    real_world.clock.time += 5
    assert thrice(real_world, LEFT) == {""}
    assert real_world.service.followers.is_following("o-alice") is False
    thrice(real_world, {**SUBSCRIBED, "CreateTime": followed_at})
    assert real_world.service.followers.is_following("o-alice") is False


def test_a_receipt_delivered_three_times_at_once_is_kept_once(real_world: World) -> None:
    """On the one send that it is of."""
    real_world.send(real_world.token())
    assert thrice(real_world, RECEIPT) == {""}
    (send,) = AuditItem.query("11010148")
    assert (send.receipt, send.reason) == ("failed", "user block")


def test_a_repeat_is_answered_as_before_whatever_has_happened(world: World) -> None:
    """The person resends, or uses the code up, while WeChat still waits for its first answer."""
    world.login_item().update([models.LoginItem.openid.set("o-alice")])
    tell(world, SUBSCRIBED)
    asked: dict[str, object] = {**ASKED, "CreateTime": world.clock.time}
    before = tell(world, asked)
    assert "没有可领取的验证码" in before
    token = world.token()
    world.send(token)
    assert tell(world, asked) == before
    code = code_in(tell(world, {**ASKED, "MsgId": 23_457}))
    assert world.confirm(token, code, "Another-horse-8").status_code == 200
    assert code in tell(world, {**ASKED, "MsgId": 23_457})
    assert "没有可领取的验证码" in tell(world, {**ASKED, "MsgId": 23_458})


def test_what_a_repeat_will_be_told_is_unreadable_and_ends(world: World) -> None:
    """The table shows no code, and its memory is as short as a code's life."""
    world.login_item().update([models.LoginItem.openid.set("o-alice")])
    tell(world, SUBSCRIBED)
    world.send(world.token())
    code = code_in(tell(world, ASKED))
    items = boto3.client("dynamodb").scan(TableName="recovery-ephemera")["Items"]
    (seen,) = [item for item in items if item["id"]["S"].startswith("seen#")]
    assert code not in str(seen)
    assert "o-alice" not in str(seen)
    assert int(seen["expires_at"]["N"]) == world.clock.time + 300
    world.clock.time += 300
    assert "没有可领取的验证码" in tell(world, {**ASKED, "CreateTime": world.clock.time - 300})


def test_a_store_that_hangs_costs_no_more_than_wechat_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`success` before WeChat gives up, and somebody is told; never its fault message."""
    assert door.DEADLINE < 5
    monkeypatch.setattr(door, "DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hole.getsockname()[1]}")
        models.bind("recovery")
        began = time.monotonic()
        with caplog.at_level(logging.ERROR):
            assert tell(world, SUBSCRIBED) == ""
        assert time.monotonic() - began < 5
    assert alarms(caplog) == ["callback"]


def test_a_store_that_fails_is_an_alarm_and_no_fault_for_the_person(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the message was; and nothing of it is in the log."""
    client: Any = boto3.client("dynamodb")
    for table in ("followers", "ephemera"):
        client.delete_table(TableName=f"recovery-{table}")
    for fields in (SUBSCRIBED, LEFT, ASKED, TAPPED, RECEIPT, scene_event(world, "SCAN")):
        caplog.clear()
        assert tell(world, fields, "o-canary") == ""
        assert alarms(caplog) == ["callback"]
        assert "o-canary" not in caplog.text
