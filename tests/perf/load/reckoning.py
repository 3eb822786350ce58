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
    """A person's step that was answered; `at` in epoch seconds."""

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
    errors: Counter[str] = field(default_factory=Counter)
    """By what went wrong: a 5xx, no answer, an answer that cannot be."""
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds by step."""
    guard: threading.Lock = field(default_factory=threading.Lock)


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
) -> list[str]:
    """Return every discrepancy, a sentence each. `sms` has the codes that came, by phone."""
    found = [f"{count} times: {what}" for what, count in responses.errors.items()]
    by_others = Counter(
        refusal.step
        for person, refusals in responses.refusals.items()
        for refusal in unexplained(responses.actions.get(person, []), refusals, limits)
    )
    found += [
        f"{count} times: {step} refused, although within the person's own limits"
        for step, count in by_others.items()
    ]
    by_phone: dict[str, list[int]] = defaultdict(list)
    for login, one in kept.items():
        happened = Counter(event.event for event in one.events if event.outcome != "failed")
        sends = [e for e in one.events if e.event == "code-sent" and e.outcome != "failed"]
        by_phone[one.phone] += [event.at for event in sends if event.method == "sms"]
        passwords = responses.passwords.get(login, [])
        if passwords and not is_password(one.password_hash or "", passwords[-1]):
            found.append(f"{login}: the last password that was answered 200 is not the stored one")
        for event, answered in (
            ("password-recovered", len(passwords)),
            ("wechat-unbound", responses.unbound[login]),
            ("code-sent", responses.sent[login]),
        ):
            if happened[event] != answered:
                found.append(f"{login}: {event} {happened[event]} times, answered {answered} times")
        if login in responses.openids and responses.openids[login] != one.openid:
            found.append(f"{login}: the binding is not the one that was answered")
        if overrun([event.at for event in sends], limits.sends_per_login(is_address=False)):
            found.append(f"{login}: more codes than its limit")
        by_wechat = [event.at for event in sends if event.method == "wechat"]
        if overrun(by_wechat, limits.sends_per_destination):
            found.append(f"{login}: more codes to its WeChat than the limit")
        for what, count, limit in (
            (
                "codes",
                responses.wrong_codes[login],
                limits.wrong_codes_per_requester_login_day,
            ),
            ("details", responses.wrong_details[login], limits.wrong_details_per_login_day),
            (
                "passwords",
                responses.wrong_passwords[login],
                limits.wrong_passwords_per_login_half_hour,
            ),
        ):
            if count > limit:
                found.append(f"{login}: {count} wrong {what} were compared")
    for phone, times in by_phone.items():
        if overrun(times, limits.sends_per_destination):
            found.append(f"a phone of {len(times)} codes: more than the limit")
        if len(times) != sms.get(phone, 0):
            found.append(f"a phone has {sms.get(phone, 0)} codes, and the history {len(times)}")
    return found
