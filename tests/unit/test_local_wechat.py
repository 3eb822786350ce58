"""The WeChat simulator of the local stack, with the service's client and wechatpy as its peers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from wechatpy import create_reply
from wechatpy.utils import to_text
from werkzeug.wrappers import Response

from infra.local.wechat.simulator import (
    OUT_OF_ORDER,
    CannotDo,
)
from tests.support.local_wechat import ALICE, BOB, LocalWechat

# People's acts, and the messages that the account's server receives.


def test_a_follow_is_delivered_and_its_reply_shown(local_wechat: LocalWechat) -> None:
    """A subscribe event arrives encrypted, and the passive reply is in the chat."""
    local_wechat.service.reply = lambda message: f'欢迎 {message.event} <a href="x">x</a>'
    assert local_wechat.wechat.follow(ALICE).deliveries == 1
    [message] = local_wechat.service.messages
    assert (message.type, message.event, message.source) == ("event", "subscribe", ALICE)
    assert local_wechat.chat() == [
        ("notice", "已关注公众号"),
        ("account", '欢迎 subscribe <a href="x">x</a>'),
    ]
    assert set(local_wechat.service.queries[0]) >= {
        "signature",
        "msg_signature",
        "timestamp",
        "nonce",
    }
    with pytest.raises(CannotDo, match="follows-already"):
        local_wechat.wechat.follow(ALICE)


def test_a_scan_delivers_the_code_s_scene(local_wechat: LocalWechat) -> None:
    """A new follower's event has `qrscene_` before the scene; a follower's is a SCAN event."""
    url = local_wechat.platform.follow_qr("11010148.abc", 600)
    assert local_wechat.wechat.scan(ALICE, url) == "11010148.abc"
    assert local_wechat.service.messages == []
    local_wechat.wechat.follow(ALICE, "11010148.abc")
    assert local_wechat.service.messages[-1].event == "subscribe_scan"
    assert local_wechat.service.messages[-1].scene_id == "11010148.abc"
    assert local_wechat.wechat.scan(ALICE, url) == "11010148.abc"
    assert local_wechat.service.messages[-1].event == "scan"
    assert local_wechat.service.messages[-1].scene_id == "11010148.abc"
    local_wechat.clock.time += 601
    assert local_wechat.wechat.scan(ALICE, url) == ""
    assert len(local_wechat.service.messages) == 2
    with pytest.raises(CannotDo, match="foreign-code"):
        local_wechat.wechat.scan(ALICE, "https://elsewhere.example/")


def test_an_unsubscribe_is_delivered_and_ends_the_follow(local_wechat: LocalWechat) -> None:
    """Afterwards the person can neither write nor tap, and receives nothing."""
    local_wechat.wechat.follow(ALICE)
    local_wechat.wechat.leave(ALICE)
    assert local_wechat.service.messages[-1].event == "unsubscribe"
    assert local_wechat.chat()[-1] == ("notice", "已取消关注")
    for act in (
        lambda: local_wechat.wechat.leave(ALICE),
        lambda: local_wechat.wechat.say(ALICE, "x"),
        lambda: local_wechat.wechat.tap(ALICE, "x"),
    ):
        with pytest.raises(CannotDo, match="not-following"):
            act()


def test_menu_items_act_by_their_type(local_wechat: LocalWechat) -> None:
    """CLICK sends its key, VIEW sends and opens its address; Chinese names are kept."""
    assert (
        local_wechat.call("/cgi-bin/menu/get", access_token=local_wechat.token())["errcode"]
        == 46003
    )
    menu = {
        "button": [
            {"type": "view", "name": "找回密码", "url": "https://recovery.example/wechat/enter"},
            {
                "name": "更多",
                "sub_button": [{"type": "click", "name": "获取验证码", "key": "code"}],
            },
        ]
    }
    local_wechat.platform.create_menu(menu)
    assert local_wechat.call("/cgi-bin/menu/get", access_token=local_wechat.token()) == {
        "menu": menu
    }
    local_wechat.wechat.follow(ALICE)
    assert local_wechat.wechat.tap(ALICE, "找回密码") == "https://recovery.example/wechat/enter"
    assert local_wechat.service.messages[-1].event == "view"
    assert local_wechat.wechat.tap(ALICE, "获取验证码") == ""
    assert (local_wechat.service.messages[-1].event, local_wechat.service.messages[-1].key) == (
        "click",
        "code",
    )
    with pytest.raises(CannotDo, match="no-such-item"):
        local_wechat.wechat.tap(ALICE, "没有")


def test_texts_arrive_with_different_ids(local_wechat: LocalWechat) -> None:
    """Characters that XML cannot contain are removed."""
    local_wechat.wechat.follow(ALICE)
    texts = ["验证码", "]]> & <b>", "a\x00b\x1f", "😀"]
    for text in texts:
        local_wechat.wechat.say(ALICE, text)
    messages = local_wechat.service.messages[1:]
    assert [message.content for message in messages] == ["验证码", "]]> & <b>", "ab", "😀"]
    assert len({message.id for message in messages}) == 4
    assert ("person", "验证码") in local_wechat.chat()


def test_events_differ_in_their_time(local_wechat: LocalWechat) -> None:
    """Two taps within one second differ in CreateTime, and later ones are later."""
    local_wechat.platform.create_menu({"button": [{"type": "click", "name": "码", "key": "code"}]})
    local_wechat.wechat.follow(ALICE)
    for _ in range(3):
        local_wechat.wechat.tap(ALICE, "码")
    times = [message._data["CreateTime"] for message in local_wechat.service.messages]
    assert times == sorted(set(times))


# How the platform treats an account that does not do its part.


def test_a_message_without_an_answer_is_delivered_three_times(
    local_wechat: LocalWechat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the chat shows WeChat's notice of a fault."""
    local_wechat.wechat.follow(ALICE)
    monkeypatch.setattr(local_wechat.wechat._callbacks, "_limit", 0.3)
    reached, given_up = threading.Event(), threading.Event()

    def reply(message: Any) -> str:
        reached.set()
        given_up.wait(60)
        return "zu spät"

    local_wechat.service.reply = reply
    outcome = local_wechat.wechat.say(ALICE, "hallo")
    assert reached.wait(60)
    given_up.set()
    assert (outcome.text, outcome.deliveries) == (None, 3)
    assert local_wechat.chat()[-1] == ("notice", OUT_OF_ORDER)
    assert len({message.id for message in local_wechat.service.messages[1:]}) == 1


def test_the_answer_to_a_second_delivery_is_shown(local_wechat: LocalWechat) -> None:
    """The first delivery failed."""
    local_wechat.wechat.follow(ALICE)
    answers: list[str | Response] = [Response(status=500), "endlich"]
    local_wechat.service.reply = lambda message: answers.pop(0)
    outcome = local_wechat.wechat.say(ALICE, "hallo")
    assert (outcome.text, outcome.deliveries) == ("endlich", 2)
    assert local_wechat.chat()[-1] == ("account", "endlich")


@pytest.mark.parametrize(
    "body", [b'{"json": true}', b"<xml><Encrypt>x</Encrypt></xml>", b"<xml>", b"ok"]
)
def test_an_unreadable_answer_is_a_fault(local_wechat: LocalWechat, body: bytes) -> None:
    """Only an encrypted reply, `success` and an empty body are accepted."""
    local_wechat.wechat.follow(ALICE)
    local_wechat.service.reply = lambda message: Response(body)
    outcome = local_wechat.wechat.say(ALICE, "hallo")
    assert (outcome.text, outcome.deliveries) == (None, 1)
    assert local_wechat.chat()[-1] == ("notice", OUT_OF_ORDER)


def test_success_adds_nothing_to_the_chat(local_wechat: LocalWechat) -> None:
    """`success` leaves the chat as it is."""
    local_wechat.wechat.follow(ALICE)
    local_wechat.service.reply = lambda message: ""
    assert local_wechat.wechat.say(ALICE, "hallo").text == ""
    assert local_wechat.chat()[-1] == ("person", "hallo")


def test_a_reply_to_somebody_else_is_a_fault(local_wechat: LocalWechat) -> None:
    """A reply must be addressed to the sender of the message."""
    local_wechat.wechat.follow(ALICE)

    def reply(message: Any) -> Response:
        swapped = create_reply("x", message=message)
        swapped.target = BOB
        sealed = local_wechat.service.crypto.encrypt_message(swapped.render(), "1", "2")
        return Response(to_text(sealed))

    local_wechat.service.reply = reply
    assert local_wechat.wechat.say(ALICE, "hallo").text is None
