"""The responses to people compared with the stored state: losses, repeats and exceeded limits."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.limits import Limits, Window


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


def faults(
    responses: Responses,
    kept: Mapping[str, StoredLogin],
    sms: Mapping[str, int],
    limits: Limits,
    is_password: Callable[[str, str], bool],
) -> list[str]:
    """Return every discrepancy, a sentence each. `sms` has the codes that came, by phone."""
    found = [f"{count} times: {what}" for what, count in responses.errors.items()]
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
        if overrun([event.at for event in sends], limits.sends_per_login):
            found.append(f"{login}: more codes than its limit")
        by_wechat = [event.at for event in sends if event.method == "wechat"]
        if overrun(by_wechat, limits.sends_per_destination):
            found.append(f"{login}: more codes to its WeChat than the limit")
        for what, count, limit in (
            ("codes", responses.wrong_codes[login], limits.wrong_codes_per_login_day),
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
