"""The words of the model: answers, limits, and what is known of a login."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Window = tuple[int, int]
"""How many events, in how many seconds."""


@dataclass(frozen=True)
class Said:
    """An answer: its status, and members that its body must have with these very values."""

    status: int
    body: dict[str, Any]


def said(status: int, code: str | None = None, **members: Any) -> Said:
    """An answer; `code` is a problem's."""
    return Said(status, members if code is None else {"code": code, **members})


EXPIRED = said(401, "recovery-expired")
NO_CODE = said(410, "code-expired")


@dataclass(frozen=True)
class Rules:
    """The limits."""

    starts_login: Window
    starts_address: Window
    sends_destination: tuple[Window, ...]
    sends_login: Window
    tries: int
    wrong_codes: Window
    wrong_details: Window
    wrong_passwords: Window


def wait(events: Sequence[int], windows: Iterable[Window], now: int) -> int:
    """Seconds until one more event fits into every window; 0 where it does now."""
    longest = 0
    for most, seconds in windows:
        within = sorted(at for at in events if at > now - seconds)
        if len(within) >= most:
            # Room comes when so many have left that one less than the limit remains.
            longest = max(longest, within[len(within) - most] + seconds - now)
    return longest


@dataclass(frozen=True)
class Ticket:
    """What a recovery saw when it began."""

    number: int
    login: str
    method: str
    version: int
    at: int
    phone: str | None
    bound: str | None
    visitor: str | None


@dataclass
class Code:
    """A live code."""

    digits: str
    method: str
    until: int
    tries: int = 0


@dataclass
class Used:
    """A code after its use: what its own recovery may repeat."""

    digits: str
    ticket: int


@dataclass
class Login:
    """A login. Every list is of epoch seconds."""

    phone: str | None
    openid: str | None
    password: str
    changed_at: int
    must_change: bool
    version: int = 1
    recovered_at: int | None = None
    reset_year: int | None = None
    code: Code | None = None
    used: Used | None = None
    starts: list[int] = field(default_factory=list)
    sends: list[int] = field(default_factory=list)
    wrong_codes: list[int] = field(default_factory=list)
    wrong_details: list[int] = field(default_factory=list)
    wrong_passwords: list[int] = field(default_factory=list)
    audit: Counter[str] = field(default_factory=Counter)

    @property
    def road(self) -> tuple[str, str | None]:
        """The method of its codes and their destination."""
        return ("sms", self.phone) if self.openid is None else ("wechat", self.openid)


@dataclass
class Run:
    """A yearly reset that has begun."""

    at: int
    finished: bool = False
