"""Parser of the messages and events in WeChat's callbacks.

The envelope is parsed strictly, since anybody can send one. What it encrypts is WeChat's, so only a
message without its sender is refused there: after an error WeChat shows the person that the
account is out of order. A message of a kind or a form that is not handled becomes Other.

Source of elements and events: WeChat Official Account guide, "Receiving standard messages" and
"Receiving event pushes".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from xml.parsers import expat

MAXIMUM_BYTES = 65_536
"""Maximum size of a callback; WeChat's have a few kilobytes."""


# An openid, without characters that could break a log line or a key.
_SENDER = re.compile(r"[!-~]{1,128}", re.ASCII)
_CREATED_AT = re.compile(r"[0-9]{1,12}", re.ASCII)

# Characters that XML 1.0 forbids. WeChat sends those that people paste, unescaped.
# Sources: github.com/offu/WeRoBot/issues/420 and pull/809.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:x0*(?P<hex>[0-9A-Fa-f]+)|0*(?P<decimal>[0-9]+));", re.ASCII)
_SUBSTITUTE = "\ufffd"


class MessageError(Exception):
    """The XML is not a valid message of WeChat."""


@dataclass(frozen=True)
class Envelope:
    """The outer XML of safe mode."""

    recipient: str
    encrypted: str


@dataclass(frozen=True)
class Message:
    """Common part of all messages and events."""

    sender: str
    """The person's openid."""
    recipient: str
    """The Official Account's original id, gh_…"""
    created_at: int
    """Epoch seconds."""
    dedup_key: str
    """Hash that is equal for all deliveries of a message and unique to it."""


@dataclass(frozen=True)
class Text(Message):
    """A text from a person, or a voice message that WeChat has recognised as text."""

    content: str


@dataclass(frozen=True)
class Subscribed(Message):
    """A new follower; `scene` is that of the scanned QR code, or None."""

    scene: str | None


@dataclass(frozen=True)
class Unsubscribed(Message):
    """A person stopped following."""


@dataclass(frozen=True)
class Scanned(Message):
    """A follower scanned a QR code with a scene."""

    scene: str


@dataclass(frozen=True)
class Clicked(Message):
    """A follower tapped a CLICK item of the menu."""

    key: str


@dataclass(frozen=True)
class Viewed(Message):
    """A follower tapped a VIEW item of the menu, which opened `url`; WeChat shows no reply."""

    url: str


@dataclass(frozen=True)
class TemplateSent(Message):
    """Receipt of a template message; `status` is `success` or the reason of the failure."""

    message_id: str
    """Empty where WeChat sent none, or 0."""
    status: str
    client_msg_id: str
    """The id that the sender of the message gave it; empty where WeChat did not return it."""


@dataclass(frozen=True)
class Other(Message):
    """A message or event of another kind, such as an image, or of an unknown form.

    Of an unknown form, `recipient` is empty and `created_at` 0.
    """


Fields = dict[str, list[str]]
"""Texts of a message's elements by element name."""


def _fields(xml: bytes) -> Fields:
    if len(xml) > MAXIMUM_BYTES:
        raise MessageError
    found: Fields = {}
    path: list[str] = []

    def start(name: str, _: object) -> None:
        path.append(name)
        if len(path) == 1 and name != "xml":
            raise MessageError
        if len(path) == 2:
            found.setdefault(name, []).append("")

    def text(part: str) -> None:
        if len(path) == 2:
            found[path[1]][-1] += part

    def end(_: str) -> None:
        path.pop()

    # expat without an element tree, since the documents are flat: a tree needs half as much time more.
    # With the separator, a name with a namespace cannot equal one without.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise MessageError from None
    return found


def _refuse(*_: object) -> None:
    """Refuse a document type, and with it the entities that it could declare."""
    raise MessageError


def _readable(xml: bytes) -> bytes:
    """Return the XML with a substitute for each character that XML forbids, escaped or not.

    A substitute, since dropping characters could form a document type or a sender out of others.
    """
    text = _FORBIDDEN.sub(_SUBSTITUTE, xml.decode("utf-8", "replace"))
    return _REFERENCE.sub(_allowed_reference, text).encode()


def _allowed_reference(reference: re.Match[str]) -> str:
    digits, base = (reference["hex"], 16) if reference["hex"] else (reference["decimal"], 10)
    number = int(digits, base) if len(digits) <= 7 else 0
    is_character = number <= 0x10FFFF and not _FORBIDDEN.match(chr(number))
    return reference[0] if is_character else _SUBSTITUTE


def _value(fields: Fields, name: str) -> str | None:
    found = fields.get(name)
    if not found:
        return None
    # With duplicates, another parser might use the other element.
    if len(found) > 1:
        raise MessageError
    return found[0].strip()


def _required(fields: Fields, name: str) -> str:
    value = _value(fields, name)
    if not value:
        raise MessageError
    return value


def _typed(fields: Fields, name: str) -> str:
    """Return the text that a person wrote, without the characters that XML forbids."""
    return (_value(fields, name) or "").replace(_SUBSTITUTE, "").strip()


def envelope(xml: bytes) -> Envelope:
    """Parse the outer XML. Raises MessageError."""
    fields = _fields(xml)
    return Envelope(_value(fields, "ToUserName") or "", _required(fields, "Encrypt"))


def message(xml: bytes) -> Message:
    """Parse the inner XML. Raises MessageError where it has no sender."""
    fields = _fields(_readable(xml))
    sender = _required(fields, "FromUserName")
    if not _SENDER.fullmatch(sender):
        raise MessageError
    try:
        return _handled(fields, sender)
    except MessageError:
        return Other(sender, "", 0, _whole_key(fields))


def _handled(fields: Fields, sender: str) -> Message:
    """Return the message as its type. Raises MessageError where that lacks an element."""
    recipient, created = _required(fields, "ToUserName"), _required(fields, "CreateTime")
    if not _CREATED_AT.fullmatch(created):
        raise MessageError
    kind = _required(fields, "MsgType")
    if kind == "event":
        return _event(fields, sender, recipient, int(created))
    # Messages have MsgId, receipts and messages of devices MsgID.
    message_id = _value(fields, "MsgId") or _value(fields, "MsgID")
    key = _key("message", message_id, sender) if message_id else _whole_key(fields)
    common = (sender, recipient, int(created), key)
    if kind == "text":
        return Text(*common, _typed(fields, "Content"))
    if kind == "voice" and (recognised := _typed(fields, "Recognition")):
        return Text(*common, recognised)
    return Other(*common)


def _event(fields: Fields, sender: str, recipient: str, created: int) -> Message:
    event = _required(fields, "Event")
    event_key = _value(fields, "EventKey") or ""
    message_id = _value(fields, "MsgID") or ""
    key = _key("event", sender, str(created), event, event_key, message_id)
    common = (sender, recipient, created, key)
    if event == "subscribe":
        return Subscribed(*common, event_key.removeprefix("qrscene_") or None)
    if event == "unsubscribe":
        return Unsubscribed(*common)
    if event == "SCAN":
        return Scanned(*common, event_key)
    if event == "CLICK":
        return Clicked(*common, event_key)
    if event == "VIEW":
        return Viewed(*common, event_key)
    if event == "TEMPLATESENDJOBFINISH":
        # WeChat also responds to a send with a message id of 0.
        # Source: github.com/chanjarster/weixin-java-tools/pull/216
        named = "" if message_id == "0" else message_id
        client_msg_id = _value(fields, "client_msg_id") or ""
        return TemplateSent(*common, named, _value(fields, "Status") or "", client_msg_id)
    return Other(*common)


def _whole_key(fields: Fields) -> str:
    """Return a key of all elements, for a message without an id of its own."""
    parts = [part for name in sorted(fields) for part in (name, *fields[name])]
    return _key("whole", *parts)


def _key(*parts: str) -> str:
    # With the lengths, different lists of parts never join to the same text.
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(joined.encode()).hexdigest()
