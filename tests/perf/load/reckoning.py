"""The responses to people compared with the stored state: losses, repeats and exceeded limits.

Also the refusals: each person is to be refused for that person's own actions alone, whatever an attacker
does meanwhile.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.limits import DAY, Limits, Window, retry_after

_TOLERANCE = 5
"""Seconds: the service counts whole seconds, at a time before its answer arrives."""


@dataclass(frozen=True)
class Action:
    """A person's step, as the service counts it; `at` in epoch seconds."""

    step: str
    at: float


@dataclass
class Responses:
    """The service's responses to people. Counts are by login unless stated otherwise."""

    passwords: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The passwords that were answered 200, oldest first."""
    openids: dict[str, str | None] = field(default_factory=dict)
    """The binding that the last answer left."""
    unbound: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    wrong_codes: Counter[str] = field(default_factory=Counter)
    wrong_passwords: Counter[str] = field(default_factory=Counter)
    wrong_details: Counter[str] = field(default_factory=Counter)
    actions: dict[str, list[Action]] = field(default_factory=lambda: defaultdict(list))
    """Steps that were not refused, by person."""
    refusals: dict[str, list[Action]] = field(default_factory=lambda: defaultdict(list))
    """Steps that were answered 429, by person."""
    doubts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Writes that a fault left in doubt, by login and audit event."""
    doubtful_passwords: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Passwords that may have been set since the last one that was answered 200."""
    doubtful_openids: dict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    """Bindings that writes in doubt may have left since the last answer."""
    lost_codes: Counter[str] = field(default_factory=Counter)
    """Codes that were answered 202 during a fault and did not arrive, by method."""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def set_password(self, login: str, password: str, *openid: str | None) -> None:
        """Record a password that was answered 200, with the binding that it left, if it is known.

        What was in doubt before it is settled: a write in doubt has ended with the login's version.
        """
        with self.guard:
            self.passwords[login].append(password)
            self.doubtful_passwords[login].clear()
            for one in openid:
                self.openids[login] = one
                self.doubtful_openids[login].clear()

    def doubt_password(self, login: str, password: str, openid: str | None) -> None:
        """Record a password whose write is in doubt, with the openid that it may have bound."""
        with self.guard:
            self.doubts[login]["password-recovered"] += 1
            self.doubtful_passwords[login].append(password)
            if openid is not None:
                self.doubtful_openids[login].add(openid)


@dataclass(frozen=True)
class Event:
    """An audit event; `at` in epoch seconds."""

    at: int
    event: str
    method: str | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class StoredLogin:
    """A login as it is stored."""

    password_hash: str | None
    phone: str
    openid: str | None
    events: Sequence[Event]
    reset_year: int | None = None
    default_password: str = ""
    """The password that the yearly run sets."""


@dataclass(frozen=True)
class YearlyRun:
    """The yearly run of a load; `started_at` in epoch seconds."""

    year: int
    started_at: int

    def has_replaced(self, one: StoredLogin) -> bool:
        """Return whether a login has the run's password: nobody has changed it since the run began.

        An event has the time at which its password was set, which is what the run compares.
        """
        return one.reset_year == self.year and not any(
            event.event == "password-recovered" and event.at >= self.started_at
            for event in one.events
        )


def overrun(times: Sequence[int], windows: Sequence[Window]) -> bool:
    """Return whether more events than the limit are within some window."""
    ordered = sorted(times)
    return any(
        ordered[i] - ordered[i - window.limit] < window.seconds
        for window in windows
        for i in range(window.limit, len(ordered))
    )


def _own_limits(limits: Limits) -> dict[str, list[tuple[set[str], Sequence[Window]]]]:
    """Return, by refused step, the person's own steps that explain it, with their windows.

    Each person is one WeChat, and acts on the logins of one firm.
    """
    wrong_codes = (
        {"wrong code"},
        (
            Window(limits.tries_per_code, DAY),
            *limits.wrong_codes_per_requester_login(is_address=False),
            *limits.wrong_codes_per_requester(is_address=False),
        ),
    )
    sends = (
        *limits.sends_per_destination,
        *limits.sends_per_login(is_address=False),
        *limits.sends_per_requester(is_address=False),
    )
    details = [
        # Right details count as well.
        ({"wrong details", "unbind"}, limits.wrong_details(is_address=False)),
        ({"unbind"}, limits.unbindings_per_login),
    ]
    return {
        "start": [({"start"}, limits.starts_per_requester(is_address=False))],
        "send": [({"send"}, sends), wrong_codes],
        "wrong code": [wrong_codes],
        "confirm": [wrong_codes],
        "wrong details": [*details],
        "unbind": [*details],
        "verify": [({"wrong password"}, limits.wrong_passwords_per_login)],
    }


def unexplained(
    actions: Sequence[Action], refusals: Sequence[Action], limits: Limits
) -> list[Action]:
    """Return the refusals of one person that are not due to the person's own actions."""
    causes = _own_limits(limits)

    def is_explained(refusal: Action) -> bool:
        now = int(refusal.at) - _TOLERANCE
        for steps, windows in causes.get(refusal.step, []):
            times = sorted(
                (int(each.at) for each in actions if each.step in steps and each.at <= refusal.at),
                reverse=True,
            )
            if retry_after(times, windows, now):
                return True
        return False

    return [refusal for refusal in refusals if not is_explained(refusal)]


def faults(
    responses: Responses,
    kept: Mapping[str, StoredLogin],
    sms: Mapping[str, int],
    limits: Limits,
    is_password: Callable[[str, str], bool],
    yearly: YearlyRun | None = None,
) -> list[str]:
    """Return every discrepancy, a sentence each. `sms` has the codes that came, by phone."""
    by_others = Counter(
        refusal.step
        for person, refusals in responses.refusals.items()
        for refusal in unexplained(responses.actions.get(person, []), refusals, limits)
    )
    found = [
        f"{count} times: {step} refused, although within the person's own limits"
        for step, count in by_others.items()
    ]
    by_phone: dict[str, list[str]] = defaultdict(list)
    for login, one in kept.items():
        by_phone[one.phone].append(login)
        found += _of_password(responses, login, one, is_password, yearly)
        found += _of_history(responses, login, one)
        found += _of_limits(responses, login, one, limits)
    for phone, logins in by_phone.items():
        found += _of_phone(
            responses, {each: kept[each] for each in logins}, sms.get(phone, 0), limits
        )
    return found


def _sends(one: StoredLogin, method: str | None = None) -> list[Event]:
    return [
        event
        for event in one.events
        if event.event == "code-sent"
        and event.outcome != "failed"
        and method in (None, event.method)
    ]


def _of_password(
    responses: Responses,
    login: str,
    one: StoredLogin,
    is_password: Callable[[str, str], bool],
    yearly: YearlyRun | None,
) -> list[str]:
    passwords = responses.passwords.get(login, [])
    candidates = [*passwords[-1:], *responses.doubtful_passwords.get(login, [])]
    if yearly is not None and yearly.has_replaced(one):
        candidates = [one.default_password]
    elif not passwords:
        # Nothing was answered, so that whatever is stored is no loss.
        return []
    if any(is_password(one.password_hash or "", each) for each in candidates):
        return []
    return [f"{login}: the last password that was answered 200 is not the stored one"]


def _of_history(responses: Responses, login: str, one: StoredLogin) -> list[str]:
    found = []
    happened = Counter(event.event for event in one.events if event.outcome != "failed")
    doubts = responses.doubts.get(login, Counter())
    for event, answered in (
        ("password-recovered", len(responses.passwords.get(login, []))),
        ("wechat-unbound", responses.unbound[login]),
        ("code-sent", responses.sent[login]),
    ):
        if not answered <= happened[event] <= answered + doubts[event]:
            in_doubt = f", {doubts[event]} in doubt" if doubts[event] else ""
            found.append(
                f"{login}: {event} {happened[event]} times, answered {answered} times{in_doubt}"
            )
    if login in responses.openids:
        possible = {responses.openids[login], *responses.doubtful_openids.get(login, ())}
        if one.openid not in possible:
            found.append(f"{login}: the binding is not the one that was answered")
    return found


def _of_limits(responses: Responses, login: str, one: StoredLogin, limits: Limits) -> list[str]:
    found = []
    if overrun([event.at for event in _sends(one)], limits.sends_per_login(is_address=False)):
        found.append(f"{login}: more codes than its limit")
    if overrun([event.at for event in _sends(one, "wechat")], limits.sends_per_destination):
        found.append(f"{login}: more codes to its WeChat than the limit")
    for what, count, limit in (
        ("codes", responses.wrong_codes[login], limits.wrong_codes_per_requester_login_day),
        ("details", responses.wrong_details[login], limits.wrong_details_per_login_day),
        ("passwords", responses.wrong_passwords[login], limits.wrong_passwords_per_login_half_hour),
    ):
        if count > limit:
            found.append(f"{login}: {count} wrong {what} were compared")
    return found


def _of_phone(
    responses: Responses, kept: Mapping[str, StoredLogin], arrived: int, limits: Limits
) -> list[str]:
    """Compare the codes that a phone received with the sends of its logins."""
    sends = [event for one in kept.values() for event in _sends(one, "sms")]
    # A vendor that did not answer may have sent the code or not, and so may a process that was cut off.
    unsure = sum(event.outcome == "unknown" for event in sends)
    unsure += sum(responses.doubts.get(login, Counter())["code-sent"] for login in kept)
    found = []
    if overrun([event.at for event in sends], limits.sends_per_destination):
        found.append(f"a phone of {len(sends)} codes: more than the limit")
    if not len(sends) - unsure <= arrived <= len(sends):
        found.append(f"a phone has {arrived} codes, and the history {len(sends)}")
    return found
