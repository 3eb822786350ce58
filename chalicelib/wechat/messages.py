"""Strict parser of the messages and events in WeChat's callbacks.

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
    """A text from a person."""

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
    status: str


@dataclass(frozen=True)
class Other(Message):
    """A message or event of another kind, such as an image."""


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


def envelope(xml: bytes) -> Envelope:
    """Parse the outer XML. Raises MessageError."""
    fields = _fields(xml)
    return Envelope(_value(fields, "ToUserName") or "", _required(fields, "Encrypt"))


def message(xml: bytes) -> Message:
    """Parse the inner XML. Raises MessageError."""
    fields = _fields(xml)
    sender, recipient = _required(fields, "FromUserName"), _required(fields, "ToUserName")
    created = _required(fields, "CreateTime")
    if not _SENDER.fullmatch(sender) or not _CREATED_AT.fullmatch(created):
        raise MessageError
    kind = _required(fields, "MsgType")
    if kind == "event":
        return _event(fields, sender, recipient, int(created))
    key = _key("message", _required(fields, "MsgId"), sender)
    if kind == "text":
        return Text(sender, recipient, int(created), key, _value(fields, "Content") or "")
    return Other(sender, recipient, int(created), key)


def _event(fields: Fields, sender: str, recipient: str, created: int) -> Message:
    event = _required(fields, "Event")
    event_key = _value(fields, "EventKey") or ""
    # Receipts contain MsgID, messages MsgId.
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
        return TemplateSent(*common, message_id, _value(fields, "Status") or "")
    return Other(*common)


def _key(*parts: str) -> str:
    # With the lengths, different lists of parts never join to the same text.
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(joined.encode()).hexdigest()
