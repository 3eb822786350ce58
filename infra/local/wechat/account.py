"""The Official Account as WeChat keeps it: who follows, what was said, its menu, its QR codes."""

from __future__ import annotations

import itertools
import re
import secrets
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

CHAT = 200
"""Entries kept of one person's chat; the oldest make room."""

TICKETS = 500
"""QR codes remembered; the oldest are forgotten."""

Kind = Literal["account", "person", "card", "notice"]


@dataclass(frozen=True)
class Entry:
    """One line of a chat: said by the account or the person, a template's card, or a grey notice."""

    id: int
    at: int
    kind: Kind
    text: str
    fields: tuple[tuple[str, str], ...] = ()
    """Of a card: label and value of each line."""
    url: str = ""
    """Of a card: where a tap on it leads."""


@dataclass(frozen=True)
class Follower:
    """A person who follows; `scene` is that of the QR code that brought them, if any."""

    since: int
    scene: str


@dataclass(frozen=True)
class Ticket:
    """A QR code of the account. `url` is what is drawn; `expires_at` is in epoch seconds."""

    ticket: str
    url: str
    scene: str
    expires_at: int


@dataclass(frozen=True)
class Template:
    """A message template as it was filed: lines of `label：{{name.DATA}}` under a title."""

    title: str
    content: str

    def lines(self) -> list[tuple[str, str]]:
        """Label and name of each line."""
        return re.findall(r"(.+?)：\{\{(\w+)\.DATA\}\}", self.content)


CODE_TEMPLATE = Template(
    "登录密码找回验证码",
    "登录账号：{{character_string1.DATA}}\n"
    "验证码：{{character_string2.DATA}}\n"
    "温馨提示：{{thing3.DATA}}",
)
NOTICE_TEMPLATE = Template(
    "账号变动提醒",
    "变动事项：{{thing1.DATA}}\n登录账号：{{character_string2.DATA}}\n变动时间：{{time3.DATA}}",
)


class Account:
    """One Official Account. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._ids = itertools.count(1)
        self._followers: dict[str, Follower] = {}
        self._chats: dict[str, deque[Entry]] = {}
        self._tickets: deque[Ticket] = deque(maxlen=TICKETS)
        self._menu: dict[str, Any] | None = None

    # Who follows.

    def follower(self, openid: str) -> Follower | None:
        with self._guard:
            return self._followers.get(openid)

    def gain(self, openid: str, at: int, scene: str) -> None:
        with self._guard:
            self._followers[openid] = Follower(at, scene)

    def lose(self, openid: str) -> None:
        with self._guard:
            self._followers.pop(openid, None)

    # What was said.

    def write(
        self,
        openid: str,
        at: int,
        kind: Kind,
        text: str,
        fields: tuple[tuple[str, str], ...] = (),
        url: str = "",
    ) -> Entry:
        """Put a line under a person's chat."""
        with self._guard:
            entry = Entry(next(self._ids), at, kind, text, fields, url)
            self._chats.setdefault(openid, deque(maxlen=CHAT)).append(entry)
            return entry

    def chat(self, openid: str) -> list[Entry]:
        """A person's chat with the account, oldest first."""
        with self._guard:
            return list(self._chats.get(openid, ()))

    def clear(self) -> None:
        """Empty every chat."""
        with self._guard:
            self._chats.clear()

    # QR codes.

    def draw(self, scene: str, expires_at: int) -> Ticket:
        """A new QR code with a scene."""
        name = secrets.token_urlsafe(24)
        ticket = Ticket("gQ" + name, f"http://weixin.qq.com/q/02{name}", scene, expires_at)
        with self._guard:
            self._tickets.append(ticket)
        return ticket

    def ticket(self, url: str) -> Ticket | None:
        """The QR code that says `url`, whether it is past its time or not."""
        with self._guard:
            return next((ticket for ticket in self._tickets if ticket.url == url), None)

    def live_tickets(self, now: int) -> list[Ticket]:
        """The QR codes that are not past their time, newest first."""
        with self._guard:
            return [ticket for ticket in reversed(self._tickets) if ticket.expires_at > now]

    # The menu.

    @property
    def menu(self) -> Mapping[str, Any] | None:
        with self._guard:
            return self._menu

    @menu.setter
    def menu(self, menu: dict[str, Any]) -> None:
        with self._guard:
            self._menu = menu

    def item(self, name: str) -> dict[str, Any] | None:
        """The menu item of a name, in whichever part of the menu."""
        for button in (self.menu or {}).get("button", []):
            for item in [button, *button.get("sub_button", [])]:
                if item.get("name") == name:
                    return dict(item)
        return None
