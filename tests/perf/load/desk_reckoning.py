"""The desk's answers compared with the stored state: acts, proposals and the phones they bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.perf.load.desk import DeskRecord

_CONFIRMED = ("active", "undone")
_LATER = {
    "waiting": ("waiting", "approved", "rejected", *_CONFIRMED),
    "approved": ("approved", *_CONFIRMED),
    "active": _CONFIRMED,
    "undone": ("undone",),
    "rejected": ("rejected",),
}
"""The states that an answered state may have become."""


@dataclass(frozen=True)
class DeskLogin:
    """A login of the desk's own firms as it is stored, with the phone that it had at first."""

    first_phone: str
    phone: str
    is_frozen: bool
    events: Sequence[str]


@dataclass(frozen=True)
class DeskProposal:
    """A proposal as it is stored; `confirmed_at` in epoch seconds."""

    id: str
    login: str
    state: str
    confirmed_at: int | None = None


def desk_faults(
    record: DeskRecord, logins: Mapping[str, DeskLogin], proposals: Sequence[DeskProposal]
) -> list[str]:
    """Return every discrepancy, a sentence each."""
    found = list(record.unfinished)
    stored = {each.id: each for each in proposals}
    for proposal, state in record.states.items():
        now = stored[proposal].state if proposal in stored else "missing"
        if now not in _LATER[state]:
            found.append(f"a proposal that was answered {state} is {now}")
    for login, one in logins.items():
        own = [each for each in proposals if each.login == login]
        found += _of_login(record, login, one, own)
    return found


def _of_login(
    record: DeskRecord, login: str, one: DeskLogin, proposals: Sequence[DeskProposal]
) -> list[str]:
    happened = Counter(one.events)
    doubts = record.doubts.get(login, Counter())
    found = []
    for event in ("frozen", "unfrozen", "phone-proposed"):
        answered = record.acts.get(login, Counter())[event]
        if not answered <= happened[event] <= answered + doubts[event]:
            found.append(f"{login}: {event} {happened[event]} times, answered {answered} times")
    if happened["frozen"] - happened["unfrozen"] != one.is_frozen:
        found.append(f"{login}: the history does not say whether it is frozen")
    states = Counter(each.state for each in proposals)
    confirmed = sum(states[state] for state in _CONFIRMED)
    for event, count in (
        ("phone-proposed", len(proposals)),
        ("phone-approved", states["approved"] + confirmed),
        ("phone-changed", confirmed),
        ("phone-change-undone", states["undone"]),
    ):
        if happened[event] != count:
            found.append(f"{login}: {event} {happened[event]} times, and {count} by the proposals")
    phone: str | None = one.first_phone
    ordered = sorted(
        (each for each in proposals if each.state in _CONFIRMED),
        key=lambda each: (each.confirmed_at or 0, each.id),
    )
    for each in ordered:
        if each.state == "active":
            phone = record.phones.get(each.id)
    if one.phone != phone:
        found.append(f"{login}: the phone is not that of the last proposal")
    return found
