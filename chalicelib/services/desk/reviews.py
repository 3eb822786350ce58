"""What supervisors and auditors read: the acts of the staff, and the day at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from ...domain.catalogue import INPUT_REASONS
from ...domain.desk_texts import CSV_COLUMNS
from ...domain.errors import InvalidInput
from ...domain.limits import DAY
from ...domain.logins import parse_login
from ...domain.reasons import mask_phones
from ...domain.staff import ACTOR, Staff
from ...store import audit_days
from ...store.audit_days import DayEvent
from ...store.proposals import Proposals
from ..notifications import BEIJING
from ..refusals import LIMITED
from .journal import Journal
from .login_view import timeline_event

MOST_DAYS = 31
MOST_EVENTS = 5_000
"""Events of one answer; more of them need a shorter period."""

_MOST_OF_DAY = 50_000
"""Events of a day that are counted; on 1 January there are about two for each finance account."""

_NO_ACTS = frozenset({"enrolled", "enrolment-updated", "break-glass"})
"""Events of the staff that are no acts of their own: of imports, and a remark on another event."""

_OF_BOTH_LOGINS = frozenset({"facts-corrected", "firm-closed", "firm-reopened"})
"""Events that one act writes at both logins of a firm."""


@dataclass(frozen=True)
class AuditQuery:
    """A part of the staff's audit."""

    by: str | None
    """A subject, or an AWS identity; None for everybody."""
    login: str | None
    first: date
    last: date


@dataclass(frozen=True)
class AuditPage:
    """The acts of the staff, oldest first, and whether there are more than fit."""

    events: tuple[DayEvent, ...]
    more: bool


@dataclass
class Today:
    """The counts of a day of Beijing."""

    day: str
    started: int = 0
    """Recoveries started for logins with any other event of the day."""
    sent: int = 0
    delivered: int = 0
    completed: int = 0
    refused: int = 0
    wrong: int = 0
    """Wrong codes and wrong unbinding details."""
    reset: int = 0
    """Finance accounts that the yearly reset has given their default password."""
    frozen_by_owner: int = 0
    """Logins that their owners have frozen by a notice's link."""
    changed_by_staff: int = 0
    waiting: int = 0
    """Proposals that wait for approval."""
    gateways: dict[str, dict[str, int]] = field(default_factory=dict)
    """By gateway: sent, delivered, failed."""
    provinces: dict[str, int] = field(default_factory=dict)
    """Completed recoveries by province."""
    partial: bool = False
    """Whether the day has more events than were counted."""


class Reviews:
    """Reads the audit by day."""

    def __init__(self, *, clock: Callable[[], int], proposals: Proposals, journal: Journal) -> None:
        self._clock = clock
        self._proposals = proposals
        self._journal = journal

    def parse(self, by: str, login: str, first: str, last: str) -> AuditQuery:
        """Return the query of texts; empty dates mean today. Raises InvalidInput."""
        today = self._today()
        begin, end = _date("from", first) or today, _date("to", last) or today
        if not first and last:
            begin = end
        if not timedelta(0) <= end - begin < timedelta(days=MOST_DAYS):
            raise InvalidInput("from", INPUT_REASONS["date"])
        if len(by) > MOST_ACTOR:
            raise InvalidInput("by", INPUT_REASONS["too-long"])
        return AuditQuery(by or None, str(parse_login(login)) if login else None, begin, end)

    def audit(self, staff: Staff, query: AuditQuery) -> AuditPage:
        """Return the acts of the staff and record that they were read. Raises Unavailable."""
        by = None if query.by is None else mask_phones(query.by)
        self._journal.looked(staff, "desk-audit", outcome=by)
        events = list(islice(self.acts(query), MOST_EVENTS + 1))
        return AuditPage(tuple(events[:MOST_EVENTS]), len(events) > MOST_EVENTS)

    @staticmethod
    def acts(query: AuditQuery) -> Iterator[DayEvent]:
        """Yield the acts of the staff of a query, oldest first. Raises Unavailable."""
        actor = query.by
        if actor is not None and not actor.startswith(("arn:", ACTOR)):
            actor = f"{ACTOR}{actor}"
        for day in _days(query.first, query.last):
            for event in audit_days.staff_events(day.isoformat(), actor):
                if query.login in (None, event.login):
                    yield event

    def today(self, staff: Staff) -> Today:
        """Return the counts of the day and record that they were read. Raises Unavailable."""
        self._journal.looked(staff, "desk-today")
        now = self._clock()
        day = self._today().isoformat()
        summary = Today(day)
        completed: Counter[str] = Counter()
        logins: dict[str, None] = {}
        for number, event in enumerate(audit_days.events(day)):
            if number == _MOST_OF_DAY:
                summary.partial = True
                break
            _count(summary, event)
            if event.event.event != "yearly-reset":
                logins[event.login] = None
            if event.event.event == "password-recovered":
                completed[event.login] += 1
        started = audit_days.read_starts(list(logins))
        midnight = (now + _SHIFT) // DAY * DAY - _SHIFT
        summary.started = sum(
            sum(time >= midnight for time in login.starts) for login in started.values()
        )
        provinces: Counter[str] = Counter()
        for name, count in completed.items():
            provinces[(started[name].province if name in started else None) or ""] += count
        summary.provinces = dict(sorted(provinces.items()))
        acts = audit_days.staff_events(day)
        summary.changed_by_staff = sum(_is_act(act) for act in islice(acts, _MOST_OF_DAY))
        waiting = [each for each in self._proposals.newest() if each.state == "waiting"]
        summary.waiting = sum(each.ends_at > now for each in waiting)
        return summary

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).astimezone(BEIJING).date()


MOST_ACTOR = 300
"""Characters of an actor: an ARN, or a subject of OpenID Connect."""

_SHIFT = 8 * 3_600
"""Seconds by which Beijing is ahead of UTC."""


def _is_act(found: DayEvent) -> bool:
    event = found.event.event
    if event in _OF_BOTH_LOGINS:
        return not found.login.endswith("_cw")
    return not event.startswith("desk-") and event not in _NO_ACTS


def _count(summary: Today, found: DayEvent) -> None:
    event = found.event
    times = event.occurrences or 1
    if event.event == "code-sent":
        summary.sent += event.outcome != "failed"
        summary.delivered += event.receipt == "delivered"
        name = event.gateway or "unknown"
        counts = summary.gateways.setdefault(name, {"sent": 0, "delivered": 0, "failed": 0})
        counts["sent"] += event.outcome != "failed"
        counts["delivered"] += event.receipt == "delivered"
        counts["failed"] += event.outcome == "failed" or event.receipt == "failed"
    elif event.event == "password-recovered":
        summary.completed += 1
    elif event.event == "frozen-by-owner":
        summary.frozen_by_owner += 1
    elif event.event == "yearly-reset":
        summary.reset += 1
    elif event.event in ("code-wrong", "details-wrong"):
        summary.wrong += times
    elif event.event.startswith(LIMITED):
        summary.refused += times


def _date(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(name, INPUT_REASONS["date"]) from None


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def as_csv(events: Iterator[DayEvent] | tuple[DayEvent, ...]) -> str:
    """Return events as CSV with a byte order mark, by which spreadsheets recognise UTF-8."""
    lines = [",".join(map(cell, CSV_COLUMNS))]
    for found in events:
        shown = timeline_event(found.event)
        at = datetime.fromtimestamp(found.event.at, UTC).astimezone(BEIJING)
        row = (
            f"{at:%Y-%m-%d %H:%M:%S}",
            found.event.actor.removeprefix(ACTOR),
            "" if found.login.startswith(ACTOR) else found.login,
            shown.text,
            found.event.destination or "",
            found.event.outcome or "",
            found.event.reason or "",
            found.event.request_id or "",
        )
        lines.append(",".join(map(cell, row)))
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(text: str) -> str:
    """Return a quoted cell; one that a spreadsheet would execute is preceded by an apostrophe."""
    plain = f"'{text}" if text.lstrip(" ").startswith(_FORMULAS) else text
    return '"' + plain.replace('"', '""') + '"'
