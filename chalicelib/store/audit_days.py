"""The audit of a day over all logins, by the index of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pynamodb.expressions.condition import Condition

from .accounts import Event, event_of
from .audit import STAFF_DAY
from .dynamo import read_together, translate_errors
from .models import AuditItem, LoginItem

_PAGE = 1_000


@dataclass(frozen=True)
class DayEvent:
    """An event, and the login that it is about; of a look at no login, the actor."""

    login: str
    event: Event


def staff_events(day: str, by: str | None = None) -> Iterator[DayEvent]:
    """Yield the acts of the staff on a day, oldest first; `by` selects an actor.

    `day` is a date of Beijing in ISO 8601. Raises Unavailable.
    """
    return _of_day(f"{STAFF_DAY}{day}", None if by is None else AuditItem.actor == by)


def events(day: str, requester: str | None = None) -> Iterator[DayEvent]:
    """Yield the events of a day that are no acts of the staff, oldest first.

    `requester` selects a visitor by the keyed digest. Raises Unavailable.
    """
    return _of_day(day, None if requester is None else AuditItem.requester == requester)


def _of_day(key: str, condition: Condition | None) -> Iterator[DayEvent]:
    with translate_errors():
        items = AuditItem.by_day.query(key, filter_condition=condition, page_size=_PAGE)
        for item in items:
            yield DayEvent(item.about or item.login, event_of(item))


@dataclass(frozen=True)
class StartedLogin:
    """A login's province, and when recoveries of it were started; epoch seconds, newest first."""

    province: str | None
    starts: tuple[int, ...]


def read_starts(logins: Sequence[str]) -> dict[str, StartedLogin]:
    """Return the logins that exist, by name. One BatchGetItem a hundred. Raises Unavailable."""
    if not logins:
        return {}
    return {
        item.login: StartedLogin(item.province, tuple(int(time) for time in item.starts or ()))
        for item in read_together([(LoginItem, login) for login in logins]).values()
        if isinstance(item, LoginItem)
    }
