"""Replies of the Official Account, and recoveries whose method changes."""

from __future__ import annotations

import pytest

from chalicelib.store.models import FollowerItem
from tests.conftest import World, add_firm
from tests.support.callbacks import send_message

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
def test_a_keyword_is_answered_with_the_link_to_the_page(world: World, words: str) -> None:
    """In the forms that people type."""
    assert send_message(world, text(words)) == f"请{HERE}点此找回密码</a>。"


@pytest.mark.parametrize(
    "words",
    [
        "验证码。",
        "“验证码”",
        "＂验证码＂",
        '"验证码"',
        "「验证码」",
        "【验证码】",
        "验证码！！",
        "，验证码，",
        " 验 证 码 ? ",
        "验证码～",
        "验证码🙏",
        "验证\u200b码",
        "获取验证码…",
        "_验证码_",
    ],
)
def test_punctuation_does_not_change_a_keyword(world: World, words: str) -> None:
    """People end a word with a full stop, or copy the quotation marks of the help."""
    assert "没有可领取的验证码" in send_message(world, text(words))


@pytest.mark.parametrize("words", ["没有验证码", "验证码123456", "验证码找回密码", "。", "“”"])
def test_a_keyword_is_the_whole_text(world: World, words: str) -> None:
    """Other letters or digits beside it make another text, which is answered with help."""
    assert "如需人工帮助" in send_message(world, text(words))


def test_a_voice_message_is_read_as_its_text(world: World) -> None:
    """WeChat ends what it recognised with punctuation. Without a text there is nothing to answer."""
    voice = {"MsgType": "voice", "MsgId": 8, "MediaId": 1, "Format": "amr"}
    assert "没有可领取的验证码" in send_message(world, {**voice, "Recognition": "验证码。"})
    assert "点此找回密码" in send_message(world, {**voice, "MsgId": 9, "Recognition": "忘记密码！"})
    assert "如需人工帮助" in send_message(world, {**voice, "MsgId": 10, "Recognition": "怎么办？"})
    assert send_message(world, {**voice, "MsgId": 11, "Recognition": ""}) == ""
    assert send_message(world, {**voice, "MsgId": 12}) == ""


@pytest.mark.parametrize("words", ["你好", "怎么办？", "123456", "验证", "code"])
def test_other_texts_are_answered_with_help(world: World, words: str) -> None:
    """The link to the page and the number of the support."""
    reply = send_message(world, text(words))
    assert HERE in reply
    assert "010-88250337/0338" in reply


def test_other_messages_have_no_reply(world: World) -> None:
    """Unfollows, views of the page, pictures, locations, unknown menu items."""
    for fields in (
        event("unsubscribe"),
        event("VIEW", EventKey="https://recovery.example/wechat/enter"),
        event("LOCATION", Latitude=23.1),
        event("CLICK", EventKey="another"),
        {"MsgType": "image", "MsgId": 8, "PicUrl": "http://x"},
    ):
        assert send_message(world, fields) == ""


def test_follows_and_unfollows_are_stored(world: World) -> None:
    """By the time of the events, in any order of arrival."""
    following = world.service.followers.is_following
    now = world.clock.time
    assert following("o-alice") is None
    send_message(world, event("subscribe", CreateTime=now))
    assert following("o-alice") is True
    send_message(world, event("unsubscribe", CreateTime=now + 20))
    send_message(world, event("subscribe", CreateTime=now + 10))
    assert following("o-alice") is False
    send_message(world, event("subscribe", CreateTime=now + 30, EventKey="qrscene_x"))
    assert following("o-alice") is True
    send_message(world, event("subscribe"), "o-bob")
    assert FollowerItem.count() == 2


def test_an_unbinding_changes_the_method_within_a_recovery(world: World) -> None:
    """The token from before continues by SMS, and binds the WeChat of the recovery."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token(openid="o-new")
    assert world.call("POST", "/recovery/unbinding", DETAILS, token=token).status_code == 200
    sent = world.send(token)
    assert (sent.status_code, sent.json_body["method"]) == (202, "sms")
    assert world.confirm(token, world.phones.codes[-1], "Another-horse-8").status_code == 200
    assert world.login_item().openid == "o-new"


def test_an_unbound_login_cannot_be_unbound(world: World) -> None:
    """The request is refused, and no attempt is counted."""
    answer = world.call("POST", "/recovery/unbinding", DETAILS, token=world.token())
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_a_binding_changed_since_the_start_stays(world: World) -> None:
    """Another WeChat was bound after the recovery began."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token()
    add_firm(world.service.hasher, openid="o-bob")
    answer = world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")
    assert world.login_item().openid == "o-bob"
