"""The HTTP side of WeChat's callback: accepted deliveries, and the one refusal of all others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.settings import Secret, SettingsError, load
from chalicelib.store.models import FollowerItem
from chalicelib.wechat import signature
from tests.conftest import SETTINGS, MakeWorld, World
from tests.support.callbacks import Signed, post, said, send_message, signed

SUBSCRIBED = {"MsgType": "event", "Event": "subscribe"}
TOKEN = SETTINGS["WECHAT_TOKEN"]


def refused(world: World, delivery: Signed, status: int = 403) -> None:
    """Assert that the delivery is refused with an empty body and changes nothing."""
    answer = post(world, delivery)
    assert (answer.status_code, answer.body) == (status, b"")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert list(FollowerItem.scan()) == []


def query(delivery: Signed) -> dict[str, str]:
    """Return the parameters of a delivery."""
    return dict(pair.split("=", 1) for pair in delivery.query.split("&"))


def changed(delivery: Signed, **parameters: str | None) -> Signed:
    """Return the delivery with other parameters; None leaves one out."""
    kept = {**query(delivery), **parameters}
    text = "&".join(f"{name}={value}" for name, value in kept.items() if value is not None)
    return Signed(text, delivery.body)


def test_the_server_address_is_confirmed_byte_for_byte(world: World) -> None:
    """The echo is returned as plain text, and only with a right signature."""
    signed_text = signature.sign(TOKEN, "1800000000", "n")
    path = "/wechat/callback?timestamp=1800000000&nonce=n&echostr=%3Cb%3E12&signature="
    answer = world.call("GET", path + signed_text)
    assert (answer.status_code, answer.body) == (200, b"<b>12")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert world.call("GET", path + "0" * 40).status_code == 403
    assert world.call("GET", path + signed_text + "&nonce=m").status_code == 400
    assert world.call("GET", path.replace("echostr", "echo") + signed_text).status_code == 403


def test_a_valid_delivery_is_accepted(world: World) -> None:
    """It is the base of the refused ones below."""
    assert "欢迎关注" in said(world, post(world, signed(world, SUBSCRIBED)))


def test_a_captured_signature_opens_no_other_body(world: World) -> None:
    """Neither another message of WeChat nor a changed one."""
    one, other = signed(world, SUBSCRIBED), signed(world, SUBSCRIBED, "o-mallory")
    refused(world, Signed(one.query, other.body))
    refused(world, Signed(one.query, one.body.replace(b"<Encrypt>", b"<Encrypt>AAAA")))


def test_a_captured_signature_fits_no_other_split(world: World) -> None:
    """Moving digits between timestamp and nonce leaves the digest as it is."""
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
    """No signature could cover it."""
    refused(world, Signed(signed(world, SUBSCRIBED).query, body.encode()), 400)


def test_the_plain_signature_does_not_cover_the_body(world: World) -> None:
    """It covers only the timestamp and the nonce."""
    delivery = signed(world, SUBSCRIBED)
    plain = query(delivery)["signature"]
    refused(world, changed(delivery, msg_signature=plain))
    refused(world, changed(delivery, msg_signature=""))
    refused(world, changed(delivery, msg_signature=None))


@pytest.mark.parametrize("encrypt_type", ["raw", "", None])
def test_plain_messages_are_refused(world: World, encrypt_type: str | None) -> None:
    """In every mode: one captured signature would be valid for any message."""
    xml = (
        b"<xml><ToUserName>gh_1</ToUserName><FromUserName>o-mallory</FromUserName>"
        b"<CreateTime>5</CreateTime><MsgType>event</MsgType><Event>subscribe</Event></xml>"
    )
    captured = changed(signed(world, SUBSCRIBED), encrypt_type=encrypt_type, msg_signature=None)
    answer = post(world, Signed(captured.query, xml))
    assert answer.status_code in (400, 403)
    assert list(FollowerItem.scan()) == []


def test_plain_messages_are_accepted_if_enabled(make_world: MakeWorld) -> None:
    """Replies are plain as well."""
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


def test_an_empty_token_is_a_fault_and_accepts_nothing(world: World) -> None:
    """Anybody could compute its signatures."""
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
    """Two readers could use different ones."""
    delivery = signed(world, SUBSCRIBED)
    value = query(delivery)[name]
    refused(world, Signed(f"{delivery.query}&{name}={value}", delivery.body), 400)


def test_a_body_beyond_64_kib_is_refused_unread(world: World) -> None:
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
def test_every_message_is_answered(world: World, inner: dict[str, object]) -> None:
    """Texts get a help text, and other messages an empty reply."""
    answer = send_message(world, inner)
    assert ("找回密码" in answer) is (inner["MsgType"] == "text")


@pytest.mark.parametrize("control", ["\x00", "\x08", "\x1b", "\ufffe", "&#27;", "&#55357;"])
def test_a_character_that_xml_forbids_does_not_spoil_a_text(world: World, control: str) -> None:
    """The person gets help, or what the other characters request."""
    text = {"MsgType": "text", "MsgId": 1, "Content": f"a{control}b"}
    assert "获取验证码请回复" in send_message(world, text)
    assert "找回密码" in send_message(world, {**text, "MsgId": 2, "Content": f"找回{control}密码"})


@pytest.mark.parametrize(
    "inner",
    [
        {"MsgType": "device_event", "Event": "bind", "DeviceID": 1},
        {"MsgType": "device_text", "Content": "aGk=", "MsgID": 7},
        {"MsgType": "event", "Event": "user_get_card", "CardId": "p"},
        {"MsgType": "event", "Event": "kf_create_session", "KfAccount": "a@gh_1"},
        {"MsgType": "event", "Event": "qualification_verify_success", "ExpiredTime": 1},
        {"MsgType": "event"},
        {"MsgType": "made up"},
        {"Event": "subscribe"},
        {"MsgType": "event", "Event": "subscribe", "CreateTime": "soon"},
        {"MsgType": "event", "Event": "subscribe", "ToUserName": ""},
    ],
    ids=str,
)
def test_a_signed_message_of_any_kind_is_answered(
    world: World, inner: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """`success` ends the delivery; after any other answer WeChat repeats it and warns the person."""
    answer = post(world, signed(world, inner))
    assert (answer.status_code, answer.body) == (200, b"success")
    assert list(FollowerItem.scan()) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_any_signed_message_is_answered_or_refused(world: World) -> None:
    """Any elements and values in the ciphertext, and any bytes: never an error of the service."""
    names = st.sampled_from(["MsgType", "Event", "EventKey", "Content", "MsgId", "CreateTime", "a"])
    values = st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.sampled_from(
        ["text", "event", "SCAN", "<a>", "]]>", "&#0;"]
    )

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(names, values, max_size=5), st.binary(max_size=40))
    def deliver(fields: dict[str, str], raw: bytes) -> None:
        for delivery in (
            signed(world, fields),
            Signed(signed(world, SUBSCRIBED).query, raw),
        ):
            assert post(world, delivery).status_code in (200, 400, 403)

    deliver()
