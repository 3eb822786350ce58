"""The callback's door: what is let in, and the one answer to all that is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.settings import Secret, SettingsError, load
from chalicelib.store.models import FollowerItem
from chalicelib.wechat import signature
from tests.conftest import SETTINGS, MakeWorld, World
from tests.support.callbacks import Signed, post, said, signed, tell

SUBSCRIBED = {"MsgType": "event", "Event": "subscribe"}
TOKEN = SETTINGS["WECHAT_TOKEN"]


def refused(world: World, delivery: Signed, status: int = 403) -> None:
    """It is refused without a word, and without an effect."""
    answer = post(world, delivery)
    assert (answer.status_code, answer.body) == (status, b"")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert list(FollowerItem.scan()) == []


def query(delivery: Signed) -> dict[str, str]:
    """The parameters of a delivery."""
    return dict(pair.split("=", 1) for pair in delivery.query.split("&"))


def changed(delivery: Signed, **parameters: str | None) -> Signed:
    """The delivery with other parameters; None leaves one out."""
    kept = {**query(delivery), **parameters}
    text = "&".join(f"{name}={value}" for name, value in kept.items() if value is not None)
    return Signed(text, delivery.body)


def test_the_server_address_is_confirmed_byte_for_byte(world: World) -> None:
    """The echo comes back as plain text, and only under a right signature."""
    signed_text = signature.sign(TOKEN, "1800000000", "n")
    path = "/wechat/callback?timestamp=1800000000&nonce=n&echostr=%3Cb%3E12&signature="
    answer = world.call("GET", path + signed_text)
    assert (answer.status_code, answer.body) == (200, b"<b>12")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert world.call("GET", path + "0" * 40).status_code == 403
    assert world.call("GET", path + signed_text + "&nonce=m").status_code == 400
    assert world.call("GET", path.replace("echostr", "echo") + signed_text).status_code == 403


def test_a_good_delivery_is_let_in(world: World) -> None:
    """So each of the refusals below is for what it says."""
    assert "欢迎关注" in said(world, post(world, signed(world, SUBSCRIBED)))


def test_a_captured_signature_opens_no_other_body(world: World) -> None:
    """Not that of another message of WeChat, nor one that is changed."""
    one, other = signed(world, SUBSCRIBED), signed(world, SUBSCRIBED, "o-mallory")
    refused(world, Signed(one.query, other.body))
    refused(world, Signed(one.query, one.body.replace(b"<Encrypt>", b"<Encrypt>AAAA")))


def test_a_captured_signature_fits_no_other_split(world: World) -> None:
    """Digits moved between timestamp and nonce leave the sum as it is."""
    delivery = signed(world, SUBSCRIBED)
    given = query(delivery)
    joined = "".join(sorted([given["timestamp"], given["nonce"]]))
    same = 0
    for cut in (1, 8, 9, 11, 12, 19):
        for first, second in ((joined[:cut], joined[cut:]), (joined[cut:], joined[:cut])):
            same += signature.sign(TOKEN, first, second) == given["signature"]
            refused(world, changed(delivery, timestamp=first, nonce=second))
    assert same >= 2


@pytest.mark.parametrize("body", ["", "<xml/>", "<xml><ToUserName>gh_1</ToUserName></xml>", "{}"])
def test_a_body_without_its_envelope_is_refused(world: World, body: str) -> None:
    """There is nothing whose signature could be right."""
    refused(world, Signed(signed(world, SUBSCRIBED).query, body.encode()), 400)


def test_the_plain_signature_does_not_stand_in(world: World) -> None:
    """It covers the timestamp and the nonce alone."""
    delivery = signed(world, SUBSCRIBED)
    plain = query(delivery)["signature"]
    refused(world, changed(delivery, msg_signature=plain))
    refused(world, changed(delivery, msg_signature=""))
    refused(world, changed(delivery, msg_signature=None))


@pytest.mark.parametrize("encrypt_type", ["raw", "", None])
def test_words_under_a_plain_signature_are_refused(world: World, encrypt_type: str | None) -> None:
    """Whatever the mode is called: an attacker who saw one signature could say anything."""
    xml = (
        b"<xml><ToUserName>gh_1</ToUserName><FromUserName>o-mallory</FromUserName>"
        b"<CreateTime>5</CreateTime><MsgType>event</MsgType><Event>subscribe</Event></xml>"
    )
    captured = changed(signed(world, SUBSCRIBED), encrypt_type=encrypt_type, msg_signature=None)
    answer = post(world, Signed(captured.query, xml))
    assert answer.status_code in (400, 403)
    assert list(FollowerItem.scan()) == []


def test_plain_words_are_let_in_where_a_setting_says_so(make_world: MakeWorld) -> None:
    """For an account in plain mode; its replies are plain as well."""
    world = make_world(WECHAT_PLAIN="1")
    xml = (
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o-alice</FromUserName>"
        "<CreateTime>5</CreateTime><MsgType>text</MsgType><MsgId>1</MsgId>"
        "<Content>找回密码</Content></xml>"
    )
    sign = signature.sign(TOKEN, "1800000000", "n")
    path = f"signature={sign}&timestamp=1800000000&nonce=n"
    answer = post(world, Signed(path, xml.encode()))
    assert "/wechat/enter" in answer.body.decode()
    assert b"<Encrypt>" not in answer.body
    wrong = post(world, Signed(path.replace("nonce=n", "nonce=m"), xml.encode()))
    assert wrong.status_code == 403


def test_an_empty_token_starts_no_service_and_opens_nothing(world: World) -> None:
    """Anybody could sign with it, so it is no setting, and were it one it would sign nothing."""
    for name in ("WECHAT_TOKEN", "WECHAT_AES_KEY"):
        with pytest.raises(SettingsError, match=name):
            load({**SETTINGS, name: ""})
    delivery = signed(world, SUBSCRIBED)
    encrypted = delivery.body.partition(b"<Encrypt>")[2].partition(b"</Encrypt>")[0].decode()
    given = query(delivery)
    forged = signature.sign("", given["timestamp"], given["nonce"], encrypted)
    world.service.settings = replace(world.service.settings, wechat_token=Secret(""))
    refused(world, changed(delivery, msg_signature=forged))


@pytest.mark.parametrize("name", ["timestamp", "nonce", "msg_signature"])
def test_a_repeated_parameter_is_refused(world: World, name: str) -> None:
    """Two readers might take two different ones."""
    delivery = signed(world, SUBSCRIBED)
    value = query(delivery)[name]
    refused(world, Signed(f"{delivery.query}&{name}={value}", delivery.body), 400)


def test_a_body_beyond_the_limit_is_refused_unread(world: World) -> None:
    """64 KiB."""
    delivery = signed(world, SUBSCRIBED)
    refused(world, Signed(delivery.query, delivery.body + b" " * 65_536), 400)


@pytest.mark.parametrize(
    "inner",
    [
        {"MsgType": "text", "MsgId": 1, "Content": "&lt;a&gt; ]]&gt; &amp;"},
        {"MsgType": "text", "MsgId": 1, "Content": "验证码" * 2_000},
        {"MsgType": "text", "MsgId": 1, "Content": "\t\n\u2028\u202e\ufffd😀"},
        {"MsgType": "image", "MsgId": 1, "PicUrl": "http://x", "MediaId": 1},
        {"MsgType": "event", "Event": "VIEW", "EventKey": "https://x"},
        {"MsgType": "event", "Event": "LOCATION", "Latitude": 1},
        {"MsgType": "event", "Event": "CLICK", "EventKey": "another"},
    ],
    ids=range(7),
)
def test_whatever_people_send_is_answered(world: World, inner: dict[str, object]) -> None:
    """With help where they wrote, with nothing where there is nothing to say."""
    answer = tell(world, inner)
    assert ("找回密码" in answer) is (inner["MsgType"] == "text")


@pytest.mark.parametrize("control", ["\x00", "\x08", "\x1b", "\ufffe"])
def test_text_that_xml_cannot_hold_is_no_message(world: World, control: str) -> None:
    """Signed rubbish is refused like any other, and is no failure of ours."""
    delivery = signed(world, {"MsgType": "text", "MsgId": 1, "Content": f"a{control}b"})
    refused(world, delivery, 400)
