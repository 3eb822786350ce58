"""The types of the model: answers, limits and logins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Window = tuple[int, int]
"""The number of events allowed, in how many seconds."""


@dataclass(frozen=True)
class Answer:
    """An answer: its status, and members that its body must have with these values."""

    status: int
    body: dict[str, Any]
    why: str = field(default="", compare=False)
    """The cause, where one answer has several; it is not part of the response."""

    @property
    def kind(self) -> str:
        """A short name, the same for all answers with the same cause."""
        return f"{self.body.get('code', self.status)} {self.why}".rstrip()


def answer(status: int, code: str | None = None, *, why: str = "", **members: Any) -> Answer:
    """Make an answer; `code` is that of a problem."""
    return Answer(status, members if code is None else {"code": code, **members}, why)


def expired(why: str) -> Answer:
    """Make the answer of a recovery that is over."""
    return answer(401, "recovery-expired", why=why)


def no_code(why: str) -> Answer:
    """Make the answer where there is no code to use."""
    return answer(410, "code-expired", why=why)


@dataclass(frozen=True)
class Rules:
    """The limits."""

    starts_login: Window
    starts_address: Window
    sends_destination: Mapping[str, Window]
    """Windows by name; the name is the cause of an answer."""
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
    """Return the seconds until one more event fits into the window; 0 where it fits now."""
    most, seconds = window
    within = sorted(at for at in events if at > now - seconds)
    # One more event fits when the window has one event less than its limit.
    return within[len(within) - most] + seconds - now if len(within) >= most else 0


def longest(waits: Mapping[str, int]) -> tuple[int, str]:
    """Return the longest wait in seconds and its name; 0 where there is none."""
    return max((seconds, name) for name, seconds in waits.items())


@dataclass(frozen=True)
class Claims:
    """The state of a login when its recovery began."""

    number: int
    login: str
    method: str
    version: int
    epoch: int
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
    def stored(self) -> tuple[int, int, str]:
        """Its stored attributes without the digits."""
        return self.until, self.tries, self.method


@dataclass
class Used:
    """A code after its use, which the same recovery may repeat."""

    digits: str
    recovery: int


@dataclass
class Login:
    """A login. Every list is of epoch seconds."""

    phone: str | None
    openid: str | None
    password: str
    changed_at: int
    must_change: bool
    finance: bool = False
    """Whether the yearly reset applies to it."""
    version: int = 1
    epoch: int = 0
    """Changes by operators, each of which ends the recoveries that began before."""
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
    """A yearly reset that has begun, at this time."""

    at: int
    finished: bool = False
