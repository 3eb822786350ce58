"""The Official Account's side of a conversation, and a recovery whose way changes under it."""

from __future__ import annotations

import pytest

from chalicelib.store.models import FollowerItem
from tests.conftest import World, add_firm
from tests.support.callbacks import tell

HERE = '<a href="https://recovery.example/wechat/enter">'
DETAILS = {
    "firm_no": "１１０１０１４８",
    "approval_no": "京财会许可[2012]84號",
    "head_name": "阿依古丽•买买提",
}


def event(name: str, **more: object) -> dict[str, object]:
    return {"MsgType": "event", "Event": name, **more}


def text(content: str) -> dict[str, object]:
    return {"MsgType": "text", "MsgId": 7, "Content": content}


@pytest.mark.parametrize("words", ["找回密码", " 找 回 密 码 ", "忘记密码", "密码找回"])
def test_the_word_leads_to_the_page(world: World, words: str) -> None:
    """As people type it."""
    assert tell(world, text(words)) == f"请{HERE}点此找回密码</a>。"


@pytest.mark.parametrize("words", ["你好", "怎么办？", "123456", "验证", "code"])
def test_other_words_are_answered_with_help(world: World, words: str) -> None:
    """The way to the page, the word for a code, and whom to call."""
    said = tell(world, text(words))
    assert HERE in said
    assert "010-88250337/0338" in said


def test_what_needs_no_answer_gets_none(world: World) -> None:
    """Going, opening the page by the menu, pictures, places, items of another menu."""
    for fields in (
        event("unsubscribe"),
        event("VIEW", EventKey="https://recovery.example/wechat/enter"),
        event("LOCATION", Latitude=23.1),
        event("CLICK", EventKey="another"),
        {"MsgType": "image", "MsgId": 8, "PicUrl": "http://x"},
    ):
        assert tell(world, fields) == ""


def test_followers_are_kept_as_they_come_and_go(world: World) -> None:
    """By the time of WeChat's events, in whatever order they arrive."""
    following = world.service.followers.is_following
    now = world.clock.time
    assert following("o-alice") is None
    tell(world, event("subscribe", CreateTime=now))
    assert following("o-alice") is True
    tell(world, event("unsubscribe", CreateTime=now + 20))
    tell(world, event("subscribe", CreateTime=now + 10))
    assert following("o-alice") is False
    tell(world, event("subscribe", CreateTime=now + 30, EventKey="qrscene_x"))
    assert following("o-alice") is True
    tell(world, event("subscribe"), "o-bob")
    assert FollowerItem.count() == 2


def test_within_one_recovery_the_way_changes_with_the_binding(world: World) -> None:
    """The token of before the unbinding goes on by SMS, inside a WeChat, and binds that one."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token(openid="o-new")
    assert world.call("POST", "/recovery/unbinding", DETAILS, token=token).status_code == 200
    sent = world.send(token)
    assert (sent.status_code, sent.json_body["method"]) == (202, "sms")
    assert world.confirm(token, world.phones.codes[-1], "Another-horse-8").status_code == 200
    assert world.login_item().openid == "o-new"


def test_there_is_nothing_to_unbind_where_nothing_is_bound(world: World) -> None:
    """Right details or not: the recovery has another way, and no try is counted."""
    answer = world.call("POST", "/recovery/unbinding", DETAILS, token=world.token())
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_another_binding_than_at_the_start_stays(world: World) -> None:
    """The person saw one WeChat bound; by now it is another one's."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token()
    add_firm(world.service.hasher, openid="o-bob")
    answer = world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")
    assert world.login_item().openid == "o-bob"
