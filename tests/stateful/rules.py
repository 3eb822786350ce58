"""The words of the model: answers, limits, and what is known of a login."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Window = tuple[int, int]
"""How many events, in how many seconds."""


@dataclass(frozen=True)
class Answer:
    """An answer: its status, and members that its body must have with these very values."""

    status: int
    body: dict[str, Any]
    why: str = field(default="", compare=False)
    """What led to it, where one answer has several causes; nobody outside is told."""

    @property
    def kind(self) -> str:
        """A short name, the same for all answers that came about in one way."""
        return f"{self.body.get('code', self.status)} {self.why}".rstrip()


def answer(status: int, code: str | None = None, *, why: str = "", **members: Any) -> Answer:
    """An answer; `code` is a problem's."""
    return Answer(status, members if code is None else {"code": code, **members}, why)


def expired(why: str) -> Answer:
    """The recovery is over."""
    return answer(401, "recovery-expired", why=why)


def no_code(why: str) -> Answer:
    """There is no code that could be used."""
    return answer(410, "code-expired", why=why)


@dataclass(frozen=True)
class Rules:
    """The limits."""

    starts_login: Window
    starts_address: Window
    sends_destination: Mapping[str, Window]
    """By a name for the answers' causes."""
    sends_login: Window
    tries: int
    wrong_codes: Window
    wrong_details: Window
    wrong_passwords: Window

    @property
    def sends_day(self) -> Window:
        """The widest of a destination's windows."""
        return max(self.sends_destination.values(), key=lambda window: window[1])


def wait(events: Sequence[int], window: Window, now: int) -> int:
    """Seconds until one more event fits into the window; 0 where it does now."""
    most, seconds = window
    within = sorted(at for at in events if at > now - seconds)
    # Room comes when so many have left that one less than the limit remains.
    return within[len(within) - most] + seconds - now if len(within) >= most else 0


def longest(waits: Mapping[str, int]) -> tuple[int, str]:
    """The longest wait and its name; 0 where nobody has to wait."""
    return max((seconds, name) for name, seconds in waits.items())


@dataclass(frozen=True)
class Claims:
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

    @property
    def kept(self) -> tuple[int, int, str]:
        """How it is stored, but for its digits."""
        return self.until, self.tries, self.method


@dataclass
class Used:
    """A code after its use: what its own recovery may repeat."""

    digits: str
    claims: int


@dataclass
class Login:
    """A login. Every list is of epoch seconds."""

    phone: str | None
    openid: str | None
    password: str
    changed_at: int
    must_change: bool
    finance: bool = False
    """Whether the yearly reset is for it."""
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
    def destination(self) -> tuple[str, str | None]:
        """The method of its codes and their destination."""
        return ("sms", self.phone) if self.openid is None else ("wechat", self.openid)


@dataclass
class Run:
    """A yearly reset that has begun."""

    at: int
    finished: bool = False
