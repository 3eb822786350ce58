"""The parsing of messages and events, and the rendering of replies."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

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
            {"message_id": "9", "status": "failed:user block"},
        ),
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
    "elements",
    [
        {"Event": None},
        {"FromUserName": None, "Event": "subscribe"},
        {"FromUserName": "", "Event": "subscribe"},
        {"FromUserName": "o\nalice", "Event": "subscribe"},
        {"FromUserName": "o" * 129, "Event": "subscribe"},
        {"FromUserName": "爱丽丝", "Event": "subscribe"},
        {"ToUserName": None, "Event": "subscribe"},
        {"CreateTime": None, "Event": "subscribe"},
        {"CreateTime": "-5", "Event": "subscribe"},
        {"CreateTime": "5.0", "Event": "subscribe"},
        {"CreateTime": "５", "Event": "subscribe"},
        {"CreateTime": "9" * 13, "Event": "subscribe"},
        {"MsgType": None, "Event": "subscribe"},
        {"MsgType": "text", "Content": "x"},
    ],
    ids=str,
)
def test_xml_that_is_no_message_is_refused(elements: dict[str, object]) -> None:
    """Each part that identifies a message is required, once, in its form."""
    with pytest.raises(messages.MessageError):
        _read(**elements)


@pytest.mark.parametrize("xml", [BOMB, FILE, b"<!DOCTYPE xml><xml/>", b"<xml/>", b"\xff"])
def test_the_decrypted_xml_is_parsed_as_strictly(xml: bytes) -> None:
    """What was encrypted for us is parsed with the same distrust."""
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
