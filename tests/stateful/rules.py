"""The types of the model: answers, limits, requesters, budgets and logins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

HOUR, DAY = 3_600, 86_400

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


class Refusal(NamedTuple):
    """A limit that is reached."""

    wait: int | None
    """Seconds; None where waiting does not help."""
    limit: str
    """Its name in the audit."""
    code: str = "too-many-requests"
    why: str = ""
    """The cause of the answer, where it is not the limit's name."""

    @property
    def answer(self) -> Answer:
        return answer(429, self.code, why=self.why or self.limit, retry_after=self.wait)


class Requester(NamedTuple):
    """Who is counted: a WeChat, or a network outside of WeChat."""

    name: str
    is_address: bool


@dataclass(frozen=True)
class Rules:
    """The limits. Those of a requester are of a WeChat; a network has several times as much."""

    networks: Mapping[str, str]
    """The network of each address; the addresses of one network are one requester."""
    address_factor: int
    starts_requester: Window
    """Of one login."""
    starts_login: Window
    """Of all requesters; beyond it the proof of work doubles."""
    starts_per_doubling: int
    doublings: int
    starts_address: Window
    logins_requester: Window
    sends_destination: Mapping[str, Window]
    """Windows by name; the name is the cause of an answer."""
    sends_login: Window
    """Of one requester."""
    sends_requester: Window
    sends_service: int
    """Events of a clock hour, as of each budget of the service."""
    sends_service_hard: int
    tries: int
    """Of one requester on one code."""
    wrong_codes_requester_login: Window
    wrong_codes_requester: Window
    wrong_codes_login: Window
    wrong_codes_service: int
    long_codes_from: Window
    wrong_details: Window
    """Attempts at the details, right ones too, of one requester on one login."""
    unbindings_login: Window
    unbindings_service: int
    unbindings_service_hard: int
    wrong_passwords: Window
    full_factor: int
    wrong_identity_firm: Window
    """Identity checks of one firm that did not match."""
    wrong_identity_staff: Window
    phone_tries: int
    """Of the code of one proposal."""
    phone_sends: Mapping[str, Window]
    """Codes of one proposal, windows by name."""
    erasure: int
    """Seconds between the closing of a firm and its erasure."""

    @property
    def sends_day(self) -> Window:
        """The widest of a destination's windows."""
        return max(self.sends_destination.values(), key=lambda window: window[1])

    @property
    def starts_counted(self) -> int:
        """The starts of a login that require the most work; further ones need not be kept."""
        return self.starts_login[0] + self.starts_per_doubling * (self.doublings - 1)

    def requester(self, openid: str | None, address: str) -> Requester:
        """Return who is counted for a request."""
        if openid is not None:
            return Requester(openid, is_address=False)
        return Requester(self.networks[address], is_address=True)

    def figure(self, number: int, requester: Requester) -> int:
        """Return a number of a requester's."""
        return number * self.address_factor if requester.is_address else number

    def window(self, window: Window, requester: Requester) -> Window:
        """Return a window of a requester's."""
        most, seconds = window
        return self.figure(most, requester), seconds


def within(events: Iterable[int], seconds: int, now: int) -> list[int]:
    """Return the events of the last so many seconds, oldest first."""
    return sorted(at for at in events if at > now - seconds)


def wait(events: Iterable[int], window: Window, now: int) -> int:
    """Return the seconds until one more event fits into the window; 0 where it fits now."""
    most, seconds = window
    recent = within(events, seconds, now)
    # One more event fits when the window has one event less than its limit.
    return recent[len(recent) - most] + seconds - now if len(recent) >= most else 0


def longest(waits: Mapping[str, int]) -> tuple[int, str]:
    """Return the longest wait in seconds and its name; 0 where there is none."""
    return max((seconds, name) for name, seconds in waits.items())


def first_refusal(refusals: Sequence[Refusal]) -> Refusal | None:
    """Return the refusal that is answered: one about wrong codes, else the longest."""
    attempts = [refusal for refusal in refusals if refusal.code == "too-many-attempts"]
    return next(iter(attempts), None) or max(
        refusals, key=lambda refusal: refusal.wait or 0, default=None
    )


@dataclass
class Budget:
    """The events of the whole service in a clock hour, as the one running instance knows them."""

    soft: int
    hard: int | None = None
    hour: int = -1
    total: int = 0
    full: int = -1
    """The last hour in which more than the soft limit was counted."""
    over: int = -1
    """The last hour in which more than the hard limit was counted."""

    def add(self, now: int) -> None:
        """Count one event; beyond the last limit nothing is counted."""
        hour = now // HOUR
        if hour == (self.full if self.hard is None else self.over):
            return
        self.hour, self.total = hour, self.counted(now) + 1
        if self.total > self.soft:
            self.full = hour
        if self.hard is not None and self.total > self.hard:
            self.over = hour

    def counted(self, now: int) -> int:
        """Return the events of this hour."""
        return self.total if self.hour == now // HOUR else 0

    def is_full(self, now: int) -> bool:
        return self.full == now // HOUR

    def is_over(self, now: int) -> bool:
        return self.over == now // HOUR

    def forget(self) -> None:
        """Continue in another instance, which has seen nothing."""
        self.full = self.over = -1


@dataclass
class Visits:
    """What one requester did with all logins. Times are epoch seconds."""

    wrongs: list[int] = field(default_factory=list)
    sends: list[tuple[int, str]] = field(default_factory=list)
    """Times and logins."""
    unbindings: list[tuple[int, str]] = field(default_factory=list)
    wrong_details_at: int | None = None
    starts: list[int] = field(default_factory=list)
    """Of an address, within the running instance."""
    logins: dict[str, int] = field(default_factory=dict)
    """The last start of each login within the running instance."""

    @property
    def send_times(self) -> list[int]:
        return [at for at, _ in self.sends]

    def logins_sent_to(self, now: int) -> dict[str, int]:
        """Return the last send of the day to each login."""
        return {login: at for at, login in sorted(self.sends) if at > now - DAY}


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
    default: str | None
    """The default password of the login."""


@dataclass
class Code:
    """A live code."""

    digits: str
    method: str
    until: int
    sender: Requester
    destination: str
    tries: Counter[Requester] = field(default_factory=Counter)


@dataclass
class Used:
    """A code after its use, which the same recovery may repeat."""

    digits: str
    recovery: int


ByRequester = dict[Requester, list[int]]
"""Times by requester."""


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
    frozen_at: int | None = None
    unfrozen_at: int | None = None
    recovered_at: int | None = None
    reset_year: int | None = None
    code: Code | None = None
    used: Used | None = None
    starts: list[int] = field(default_factory=list)
    starts_by: ByRequester = field(default_factory=dict)
    proofs: set[str] = field(default_factory=set)
    """Solved proofs of work that were used."""
    sends_by: ByRequester = field(default_factory=dict)
    wrong_codes: list[int] = field(default_factory=list)
    """Of all requesters, except the WeChat that the code went to."""
    wrong_by: ByRequester = field(default_factory=dict)
    details_by: ByRequester = field(default_factory=dict)
    unbindings: list[int] = field(default_factory=list)
    wrong_passwords: list[int] = field(default_factory=list)
    audit: Counter[str] = field(default_factory=Counter)

    @property
    def destination(self) -> tuple[str, str | None]:
        """The method of its codes and their destination."""
        return ("sms", self.phone) if self.openid is None else ("wechat", self.openid)


@dataclass
class Firm:
    """A firm: its registered facts by name, and whether it is closed. Times are epoch seconds."""

    facts: dict[str, str]
    closed_at: int | None = None
    erased_at: int | None = None
    """From when on a closed firm counts as erased."""

    def is_erased(self, now: int) -> bool:
        return self.erased_at is not None and self.erased_at <= now


class Link(NamedTuple):
    """The link of a notice by which the owner freezes the login."""

    openid: str
    """The WeChat that the notice was sent to."""
    login: str
    at: int


class Act(NamedTuple):
    """An act of the staff or of an operator, as the audit names it."""

    place: str
    """The login, or the actor where the act is about no login."""
    event: str
    actor: str
    reason: str | None


@dataclass
class Run:
    """A yearly reset that has begun, at this time."""

    at: int
    finished: bool = False
