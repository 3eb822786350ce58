"""The parsing of messages and events, and the rendering of replies."""

from __future__ import annotations

import contextlib
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.wechat import messages, replies

BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>'
FILE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><xml><Encrypt>&a;</Encrypt></xml>'


NO_ENVELOPES = [
    BOMB,
    FILE,
    b"<!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>",
    b"",
    b"{}",
    b"<xml>",
    b"<a><Encrypt>a</Encrypt></a>",
    b"<xml/>",
    b"<xml><Encrypt/></xml>",
    b"<xml><Encrypt> </Encrypt></xml>",
    b"<xml><b><Encrypt>a</Encrypt></b></xml>",
    b"<xml xmlns='x'><Encrypt>a</Encrypt></xml>",
    b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
    b"<xml><Encrypt>\x00</Encrypt></xml>",
    b"<xml><Encrypt>\xff</Encrypt></xml>",
    b"<?xml version='1.0' encoding='none'?><xml><Encrypt>a</Encrypt></xml>",
    b"<?xml version='1.0' encoding='gb18030'?><xml><Encrypt>a</Encrypt></xml>",
    b"<xml>" + b"<a>" * 20_000,
    b"<xml><Encrypt>a</Encrypt>" + b" " * messages.MAXIMUM_BYTES + b"</xml>",
]


@pytest.mark.parametrize("xml", NO_ENVELOPES, ids=lambda xml: xml[:40])
def test_xml_that_is_no_envelope_is_refused(xml: bytes) -> None:
    """Document types, repeated elements and oversized bodies."""
    with pytest.raises(messages.MessageError):
        messages.envelope(xml)


def test_an_envelope_up_to_the_limit_is_read() -> None:
    """The limit is in bytes of the whole body."""
    head, tail = b"<xml><ToUserName>gh_1</ToUserName><Encrypt>a</Encrypt>", b"</xml>"
    xml = head + b" " * (messages.MAXIMUM_BYTES - len(head + tail)) + tail
    assert messages.envelope(xml) == messages.Envelope("gh_1", "a")
    with pytest.raises(messages.MessageError):
        messages.envelope(xml + b" ")


def _read(**elements: object) -> messages.Message:
    """Return the message parsed from these elements; None leaves one out."""
    fields = {
        "ToUserName": "gh_1",
        "FromUserName": "o-alice",
        "CreateTime": 5,
        "MsgType": "event",
        **elements,
    }
    inner = "".join(
        f"<{name}><![CDATA[{value}]]></{name}>"
        for name, value in fields.items()
        if value is not None
    )
    return messages.message(f"<xml>{inner}</xml>".encode())


def test_texts_are_read() -> None:
    """With sender, recipient and time."""
    text = _read(MsgType="text", MsgId=7, Content=" 找回密码\n")
    assert text == messages.Text("o-alice", "gh_1", 5, text.dedup_key, "找回密码")
    empty = _read(MsgType="text", MsgId=7, Content=None)
    assert isinstance(empty, messages.Text)
    assert empty.content == ""


@pytest.mark.parametrize(
    ("elements", "kind", "carried"),
    [
        ({"Event": "subscribe"}, messages.Subscribed, {"scene": None}),
        ({"Event": "subscribe", "EventKey": ""}, messages.Subscribed, {"scene": None}),
        ({"Event": "subscribe", "EventKey": "qrscene_1.a"}, messages.Subscribed, {"scene": "1.a"}),
        ({"Event": "unsubscribe", "EventKey": ""}, messages.Unsubscribed, {}),
        (
            {"Event": "SCAN", "EventKey": "1.a", "Ticket": "t"},
            messages.Scanned,
            {"scene": "1.a"},
        ),
        ({"Event": "CLICK", "EventKey": "code"}, messages.Clicked, {"key": "code"}),
        ({"Event": "VIEW", "EventKey": "https://x"}, messages.Viewed, {"url": "https://x"}),
        (
            {"Event": "TEMPLATESENDJOBFINISH", "MsgID": 9, "Status": "failed:user block"},
            messages.TemplateSent,
            {"message_id": "9", "status": "failed:user block", "client_msg_id": ""},
        ),
        (
            {"Event": "TEMPLATESENDJOBFINISH", "MsgID": 0, "Status": "success", "client_msg_id": 1},
            messages.TemplateSent,
            {"message_id": "", "status": "success", "client_msg_id": "1"},
        ),
        (
            {"MsgType": "voice", "MsgId": 7, "Recognition": "验证码。"},
            messages.Text,
            {"content": "验证码。"},
        ),
        ({"MsgType": "voice", "MsgId": 7, "Recognition": " "}, messages.Other, {}),
        ({"MsgType": "voice", "MsgId": 7, "MediaId": 1}, messages.Other, {}),
        ({"MsgType": "image", "MsgId": 7, "Recognition": "验证码"}, messages.Other, {}),
        ({"Event": "LOCATION", "Latitude": 23.1}, messages.Other, {}),
        ({"Event": "SUBSCRIBE"}, messages.Other, {}),
        ({"MsgType": "image", "MsgId": 7, "PicUrl": "http://x"}, messages.Other, {}),
    ],
    ids=str,
)
def test_events_become_their_types(
    elements: dict[str, object], kind: type[messages.Message], carried: dict[str, object]
) -> None:
    """Each event that the account handles has a type; all others share one."""
    event = _read(**elements)
    assert event == kind("o-alice", "gh_1", 5, event.dedup_key, **carried)


@pytest.mark.parametrize(
    "sender",
    [None, "", " ", "o\nalice", "o\x00alice", "o\ufffdalice", "o" * 129, "爱丽丝"],
    ids=ascii,
)
def test_a_message_without_its_sender_is_refused(sender: str | None) -> None:
    """The openid is missing, or not of the form of one."""
    for elements in ({"Event": "subscribe"}, TEXT_MESSAGE, {"MsgType": "made up"}):
        with pytest.raises(messages.MessageError):
            _read(**{**elements, "FromUserName": sender})


@pytest.mark.parametrize(
    "elements",
    [
        {"Event": None},
        {"ToUserName": None, "Event": "subscribe"},
        {"CreateTime": None, "Event": "subscribe"},
        {"CreateTime": "-5", "Event": "subscribe"},
        {"CreateTime": "5.0", "Event": "subscribe"},
        {"CreateTime": "５", "Event": "subscribe"},
        {"CreateTime": "9" * 13, "Event": "subscribe"},
        {"CreateTime": "9" * 5_000, "Event": "subscribe"},
        {"MsgType": None, "Event": "subscribe"},
        {"MsgType": None},
    ],
    ids=lambda elements: str(elements)[:60],
)
def test_a_message_of_an_unknown_form_is_another_one(elements: dict[str, object]) -> None:
    """It has a sender, so that it is answered and has no effect."""
    other = _read(**elements)
    assert other == messages.Other("o-alice", "", 0, other.dedup_key)
    assert other.dedup_key == _read(**elements).dedup_key


def test_a_repeated_element_makes_a_message_another_one() -> None:
    """Two parsers may read two different values of it; without a single sender it is refused."""
    xml = (
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o-alice</FromUserName>"
        "<CreateTime>5</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>{}</xml>"
    )
    for element in ("MsgType", "Event", "CreateTime", "ToUserName"):
        more = f"<{element}>5</{element}>"
        assert isinstance(messages.message(xml.format(more).encode()), messages.Other)
    assert isinstance(messages.message(xml.format("<a/><a/>").encode()), messages.Subscribed)
    with pytest.raises(messages.MessageError):
        messages.message(xml.format("<FromUserName>o-bob</FromUserName>").encode())


# Messages and events of WeChat's guides that this service does not handle: devices (MsgID in capitals,
# or no id at all), cards, customer service, verification of the account, publishing, mass sending.
UNHANDLED: list[dict[str, object]] = [
    {"MsgType": "device_text", "DeviceType": "gh_1", "DeviceID": 1, "Content": "aGk=", "MsgID": 7},
    {"MsgType": "device_event", "Event": "bind", "DeviceID": 1, "OpenID": "o-alice"},
    {"MsgType": "device_event", "Event": "subscribe_status", "OpType": 1},
    {"MsgType": "hardware", "MsgId": 7},
    {"MsgType": "shortvideo", "MediaId": 1, "MsgId": 7},
    {"MsgType": "miniprogrampage", "AppId": 1},
    {"Event": "user_get_card", "CardId": "p", "IsGiveByFriend": 1, "UserCardCode": 12},
    {"Event": "card_pass_check", "CardId": "p"},
    {"Event": "kf_create_session", "KfAccount": "a@gh_1"},
    {"Event": "kf_close_session", "KfAccount": "a@gh_1", "CloseType": "KF"},
    {"Event": "qualification_verify_success", "ExpiredTime": 1442401156},
    {"Event": "naming_verify_fail", "FailTime": 1442401061, "FailReason": "by time"},
    {"Event": "annual_renew", "ExpiredTime": 1442401004},
    {"Event": "MASSSENDJOBFINISH", "MsgID": 1, "Status": "send success"},
    {"Event": "PUBLISHJOBFINISH", "PublishEventInfo": ""},
    {"Event": "subscribe_msg_popup_event", "SubscribeMsgPopupEvent": ""},
    {"Event": "user_authorization_revoke", "RevokeInfo": 1},
    {"Event": "location_select", "EventKey": "6", "SendLocationInfo": ""},
]


@pytest.mark.parametrize("elements", UNHANDLED, ids=str)
def test_what_is_not_handled_is_another_message(elements: dict[str, object]) -> None:
    """Each delivery of it has the same key, with an id or without one."""
    other = _read(**elements)
    assert other == messages.Other("o-alice", "gh_1", 5, other.dedup_key)
    assert other.dedup_key == _read(**elements).dedup_key
    assert other.dedup_key != _read(**{**elements, "MsgId": 8, "MsgID": 8}).dedup_key


FORBIDDEN = ["\x00", "\x08", "\x0b", "\x0c", "\x1b", "\x1d", "\x1f", "\ufffe", "\uffff"]


@pytest.mark.parametrize("control", FORBIDDEN, ids=ascii)
def test_a_character_that_xml_forbids_is_dropped_from_text(control: str) -> None:
    """As it is, or escaped. Source of the case U+001D: github.com/offu/WeRoBot/issues/420."""
    for text in (f"验{control}证码", f"{control}验证码{control}", f" {control} 验证码"):
        read = _read(MsgType="text", MsgId=7, Content=text)
        assert isinstance(read, messages.Text)
        assert read.content == "验证码"
    number = ord(control)
    for reference in (f"&#{number};", f"&#x{number:x};", f"&#x000{number:X};", f"&#0{number};"):
        xml = _xml(
            MsgType="<MsgType>text</MsgType>", Content=f"<Content>验{reference}证码</Content>"
        )
        read = messages.message(xml)
        assert isinstance(read, messages.Text)
        assert read.content == "验证码"


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b"\xff", ""),
        (b"\xed\xa0\xbd\xed\xb8\x86", ""),
        (b"&#55357;&#56838;", ""),
        (b"&#x110000;&#99999999999;&#x" + b"f" * 5_000 + b";", ""),
        (b"&#x1f606;&#128518;&#x9;a", "😆😆\ta"),
        (b"&amp;#0;", "&#0;"),
        ("😆验".encode()[:-1], "😆"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_broken_characters_are_dropped_from_text(raw: bytes, content: str) -> None:
    """Cut or wrong UTF-8, and surrogates that were escaped one by one."""
    xml = _xml(MsgType="<MsgType>text</MsgType>", Content="<Content>@</Content>")
    read = messages.message(xml.replace(b"@", raw))
    assert isinstance(read, messages.Text)
    assert read.content == content


def test_no_dropped_character_forms_a_document_type_or_a_sender() -> None:
    """Each one leaves a mark where it stood until the XML is parsed."""
    for xml in (
        _xml().replace(b"<xml>", b"<!DOC\x00TYPE xml><xml>"),
        _xml().replace(b"<xml>", b'<!\x00DOCTYPE x [<!ENTITY a "b">]><xml>'),
        _xml(FromUserName="<FromUserName>o-al\x00ice</FromUserName>"),
        _xml(FromUserName="<FromUserName>o-al&#0;ice</FromUserName>"),
        _xml(FromUserName="<From\x00UserName>o-alice</From\x00UserName>"),
    ):
        with pytest.raises(messages.MessageError):
            messages.message(xml)


def _xml(**elements: str) -> bytes:
    """Return a message's XML; each element is written out, and replaces or follows the common ones."""
    common = {
        "ToUserName": "<ToUserName>gh_1</ToUserName>",
        "FromUserName": "<FromUserName>o-alice</FromUserName>",
        "CreateTime": "<CreateTime>5</CreateTime>",
        "MsgType": "<MsgType>event</MsgType>",
    }
    return f"<xml>{''.join({**common, **elements}.values())}</xml>".encode()


NAMES = (
    "ToUserName",
    "FromUserName",
    "CreateTime",
    "MsgType",
    "Event",
    "EventKey",
    "MsgId",
    "MsgID",
)
ELEMENTS = st.sampled_from([*NAMES, "Content", "Recognition", "Status", "Encrypt", "a"])
VALUES = st.text(max_size=8) | st.sampled_from(
    [
        "event",
        "text",
        "voice",
        "subscribe",
        "o-alice",
        "5",
        "&#0;",
        "]]>",
        "<![CDATA[",
        "<a>",
        "&a;",
    ]
)


@given(st.lists(st.tuples(ELEMENTS, VALUES), max_size=9))
def test_any_xml_is_a_message_or_refused(elements: list[tuple[str, str]]) -> None:
    """No elements in any order, written raw, make the parser fail in another way."""
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in elements)
    xml = f"<xml>{inner}</xml>".encode("utf-8", "surrogatepass")
    for parse in (messages.message, messages.envelope):
        with contextlib.suppress(messages.MessageError):
            parse(xml)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """Whatever a person pastes arrives, without the characters that XML forbids."""
    content = f"<Content><![CDATA[{text.replace(']]>', '')}]]></Content>"
    read = messages.message(_xml(MsgType="<MsgType>text</MsgType>", Content=content))
    assert isinstance(read, messages.Text)
    assert "\ufffd" not in read.content


@pytest.mark.parametrize("xml", [BOMB, FILE, b"<!DOCTYPE xml><xml/>", b"<xml/>", b"\xff"])
def test_the_decrypted_xml_is_parsed_as_strictly(xml: bytes) -> None:
    """No document type and no entity, in what was encrypted for us too."""
    with pytest.raises(messages.MessageError):
        messages.message(xml)


EVENT = {"Event": "CLICK", "EventKey": "code", "MsgID": 1}
TEXT_MESSAGE = {"MsgType": "text", "MsgId": 7, "Content": "x"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (EVENT, {**EVENT, "FromUserName": "o-bob"}),
        (EVENT, {**EVENT, "CreateTime": 6}),
        (EVENT, {**EVENT, "Event": "SCAN"}),
        (EVENT, {**EVENT, "EventKey": "codes"}),
        (EVENT, {**EVENT, "MsgID": 2}),
        ({**EVENT, "EventKey": "a|1", "MsgID": 2}, {**EVENT, "EventKey": "a", "MsgID": "1|2"}),
        (TEXT_MESSAGE, {**TEXT_MESSAGE, "MsgId": 8}),
        (TEXT_MESSAGE, {**TEXT_MESSAGE, "FromUserName": "o-bob"}),
    ],
    ids=str,
)
def test_repeats_share_a_key_and_messages_do_not(
    one: dict[str, object], other: dict[str, object]
) -> None:
    """The key does not contain the sender."""
    assert _read(**one).dedup_key == _read(**one).dedup_key
    assert _read(**one).dedup_key != _read(**other).dedup_key
    assert "alice" not in _read(**one).dedup_key


def test_a_message_s_key_depends_on_its_id_only() -> None:
    """Nothing else of it counts."""
    later = _read(**{**TEXT_MESSAGE, "CreateTime": 6, "Content": "y"})
    assert later.dedup_key == _read(**TEXT_MESSAGE).dedup_key


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("]]>", "]]>"),
        ("a]]>b]]>", "a]]>b]]>"),
        ("]]]]>>", "]]]]>>"),
        ("a\x00\x08\x1b\x0b\ufffe\uffffb", "ab"),
        ("\ud800a", "a"),
        ("一行\n\t二行", "一行\n\t二行"),
        ("验" * 2000, "验" * 682),
        ("😀" * 600, "😀" * 512),
        ("a" + "😀" * 600, "a" + "😀" * 511),
    ],
    ids=range(9),
)
def test_no_text_breaks_a_reply(content: str, said: str) -> None:
    """It stays XML for any text, and within WeChat's 2,048 bytes."""
    reply = replies.text_reply("o", "gh_1", 1, content)
    assert fromstring(reply).findtext("Content") == said
    assert len(said.encode()) <= 2_048
