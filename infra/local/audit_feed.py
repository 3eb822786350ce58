"""The audit events of some logins, in Chinese, for the demo page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib import runtime
from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import AccountNotFound
from chalicelib.services.refusals import LIMITED
from chalicelib.services.support import REPLACED
from chalicelib.store.accounts import Event
from infra.ops import words

MOST = 12
"""Maximum number of events of one login."""


def events(login: str) -> list[Event]:
    """Return the last events of a login, newest first; none for a login that does not exist."""
    try:
        return runtime.service().diagnosis.history(login, MOST)
    except AccountNotFound:
        return []


def feed(logins: Iterable[str]) -> list[dict[str, Any]]:
    """Return the last events of these logins, newest first: `at`, `login`, `event`, `by`, `facts`."""
    found = [(login, event) for login in dict.fromkeys(logins) for event in events(login)]
    found.sort(key=lambda pair: pair[1].at, reverse=True)
    return [row(login, event) for login, event in found]


def row(login: str, event: Event) -> dict[str, Any]:
    """Return an event as the page shows it."""
    return {
        "at": event.at,
        "login": login,
        "event": _event(event.event),
        "by": _word(words.ACTORS, event.actor.rpartition(":")[2]),
        "facts": " · ".join(_facts(event)),
    }


def _event(name: str) -> str:
    if name.startswith(LIMITED):
        return fill(words.REFUSED, limit=_word(words.LOCKS, name.removeprefix(LIMITED)))
    return _word(words.EVENTS, name)


def _facts(event: Event) -> list[str]:
    if event.occurrences is not None and event.occurrences > 1:
        return [f"{event.occurrences}次"]
    outcome = event.outcome or ""
    if event.event == "yearly-reset":
        return [f"{outcome}年度默认密码"]
    if outcome.startswith(REPLACED):
        outcome = fill(words.REPLACED, phone=outcome.removeprefix(REPLACED))
    facts = [
        _word(words.METHODS, event.method) if event.event == "code-sent" else "",
        event.destination or "",
        _word(words.OUTCOMES, outcome),
        _word(words.RECEIPTS, event.receipt),
        _word(words.REASONS, event.reason) if event.event != "enrolled" else "",
    ]
    return [fact for fact in facts if fact]


def _word(table: Mapping[str, str], value: str | None) -> str:
    return table.get(value, value) if value else ""
