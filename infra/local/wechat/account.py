"""The state of an Official Account at WeChat: followers, chats, QR codes, menu."""

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
"""Maximum number of entries kept of one chat; the oldest are dropped."""

TICKETS = 500
"""Maximum number of QR codes kept; the oldest are dropped."""

Kind = Literal["account", "person", "card", "notice"]


@dataclass(frozen=True)
class Entry:
    """An entry of a chat: a text of the account or person, a template message, or a notice."""

    id: int
    at: int
    kind: Kind
    text: str
    fields: tuple[tuple[str, str], ...] = ()
    """Label and value of each line of a card."""
    url: str = ""
    """Link target of a card."""


@dataclass(frozen=True)
class Follower:
    """A follower, since epoch seconds; `scene` is that of the scanned QR code, or empty."""

    since: int
    scene: str


@dataclass(frozen=True)
class Ticket:
    """A QR code of the account. `url` is its content; `expires_at` is in epoch seconds."""

    ticket: str
    url: str
    scene: str
    expires_at: int


@dataclass(frozen=True)
class Template:
    """A registered message template: lines of `label：{{name.DATA}}` under a title."""

    title: str
    content: str

    def lines(self) -> list[tuple[str, str]]:
        """Return label and name of each line."""
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
    """An Official Account; thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._ids = itertools.count(1)
        self._followers: dict[str, Follower] = {}
        self._chats: dict[str, deque[Entry]] = {}
        self._tickets: deque[Ticket] = deque(maxlen=TICKETS)
        self._menu: dict[str, Any] | None = None

    # Followers.

    def follower(self, openid: str) -> Follower | None:
        with self._guard:
            return self._followers.get(openid)

    def gain(self, openid: str, at: int, scene: str) -> None:
        with self._guard:
            self._followers[openid] = Follower(at, scene)

    def lose(self, openid: str) -> None:
        with self._guard:
            self._followers.pop(openid, None)

    # Chats.

    def write(
        self,
        openid: str,
        at: int,
        kind: Kind,
        text: str,
        fields: tuple[tuple[str, str], ...] = (),
        url: str = "",
    ) -> Entry:
        """Append an entry to a person's chat and return it."""
        with self._guard:
            entry = Entry(next(self._ids), at, kind, text, fields, url)
            self._chats.setdefault(openid, deque(maxlen=CHAT)).append(entry)
            return entry

    def chat(self, openid: str) -> list[Entry]:
        """Return a person's chat, oldest entry first."""
        with self._guard:
            return list(self._chats.get(openid, ()))

    def clear(self) -> None:
        """Empty every chat."""
        with self._guard:
            self._chats.clear()

    def reset(self) -> None:
        """Remove every follower, chat and QR code; the menu stays."""
        with self._guard:
            self._followers.clear()
            self._chats.clear()
            self._tickets.clear()

    # QR codes.

    def draw(self, scene: str, expires_at: int) -> Ticket:
        """Create a QR code with a scene."""
        name = secrets.token_urlsafe(24)
        ticket = Ticket("gQ" + name, f"http://weixin.qq.com/q/02{name}", scene, expires_at)
        with self._guard:
            self._tickets.append(ticket)
        return ticket

    def ticket(self, url: str) -> Ticket | None:
        """Return the QR code with this content, expired or not."""
        with self._guard:
            return next((ticket for ticket in self._tickets if ticket.url == url), None)

    def live_tickets(self, now: int) -> list[Ticket]:
        """Return the unexpired QR codes, newest first."""
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
        """Return the menu item or sub-item with this name."""
        for button in (self.menu or {}).get("button", []):
            for item in [button, *button.get("sub_button", [])]:
                if item.get("name") == name:
                    return dict(item)
        return None
