"""One login as the support desk shows it: what happened, why no code came, and what to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...domain.audit_texts import (
    EVENTS,
    GATEWAYS,
    LOCKS,
    REASONS,
    RECEIPTS,
    REFUSED,
    outcome_text,
)
from ...domain.catalogue import fill
from ...domain.desk_texts import NO_REASON, SAY, WECHAT, WHY
from ...domain.errors import AccountNotFound
from ...domain.limits import DAY
from ...domain.staff import ACTOR, Staff
from ...store.accounts import Accounts, Event
from ...store.firms import Firms
from ..diagnosis import Diagnosis, Finding, LockKind, Overview
from ..notifications import beijing_time
from ..refusals import LIMITED
from ..support import REPLACED
from .corrections import CORRECTED
from .find import Find
from .journal import Journal

_EVENTS_SHOWN = 50
_EVENTS_SEARCHED = 200

_DEFAULT_PASSWORD = "default-password"  # noqa: S105


@dataclass(frozen=True)
class TimelineEvent:
    """An event with its Chinese text."""

    event: Event
    text: str
    details: str
    """Gateway, outcome, receipt and reason in words."""


@dataclass(frozen=True)
class Requester:
    """A visitor of the last day, by the keyed digest."""

    requester: str
    events: int
    last_at: int


@dataclass(frozen=True)
class LoginView:
    """A login without its secrets. Times in epoch seconds, phones masked."""

    overview: Overview
    firm_no: str
    province: str | None
    logins: tuple[str, ...]
    """Both logins of the firm."""
    shares_phone: tuple[str, ...]
    shares_wechat: tuple[str, ...]
    """Other logins with the same phone, or the same WeChat."""
    imported_at: int | None
    imported_from: str | None
    """The file of the last import that changed the login."""
    corrected_at: int | None
    corrected_by: str | None
    corrected_from: str | None
    """Reason and document of the last correction of the firm's facts at the desk."""
    locks: tuple[tuple[str, str, int], ...]
    """Kind, text and end of each limit that is used up."""
    events: tuple[TimelineEvent, ...]
    """Newest first; looks of the staff are no events of the login."""
    requesters: tuple[Requester, ...]
    why: str
    """Why no code came, in one sentence."""
    say: str
    """What to say to the caller."""


class LoginViews:
    """Puts together what is known of a login."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        diagnosis: Diagnosis,
        accounts: Accounts,
        firms: Firms,
        find: Find,
        journal: Journal,
    ) -> None:
        self._clock = clock
        self._diagnosis = diagnosis
        self._accounts = accounts
        self._firms = firms
        self._find = find
        self._journal = journal

    def view(self, staff: Staff, login_text: str) -> LoginView:
        """Return the view and record that it was seen.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        overview = self._diagnosis.overview(login_text)
        account = self._accounts.read(overview.login)
        if account is None:
            raise AccountNotFound
        events = self._accounts.history(overview.login, _EVENTS_SEARCHED)
        imported = next((e for e in events if e.event in ("enrolled", "enrolment-updated")), None)
        corrected = next((e for e in events if e.event == CORRECTED), None)
        firm = self._firms.get(account.firm_no)
        phone, openid = account.phone, account.openid
        key = _key(overview)
        values = _values(overview, key)
        self._journal.looked(staff, "desk-viewed", about=overview.login)
        return LoginView(
            overview=overview,
            firm_no=account.firm_no,
            province=firm.province if firm else None,
            logins=(account.firm_no, f"{account.firm_no}_cw"),
            shares_phone=self._find.sharing_phone(account.login, phone) if phone else (),
            shares_wechat=self._find.sharing_wechat(account.login, openid) if openid else (),
            imported_at=imported.at if imported else None,
            imported_from=imported.reason if imported else None,
            corrected_at=corrected.at if corrected else None,
            corrected_by=corrected.actor.removeprefix(ACTOR) if corrected else None,
            corrected_from=corrected.reason if corrected else None,
            locks=tuple((lock.kind, LOCKS[lock.kind], lock.until) for lock in overview.locks),
            events=tuple(timeline_event(event) for event in events[:_EVENTS_SHOWN]),
            requesters=_requesters(events, self._clock() - DAY),
            why=fill(WHY[key], **values),
            say=fill(SAY[key], **values),
        )


def timeline_event(event: Event) -> TimelineEvent:
    """Return an event with its Chinese text."""
    if event.event.startswith(LIMITED):
        limit = event.event.removeprefix(LIMITED)
        text = fill(REFUSED, limit=LOCKS.get(limit, limit))
    else:
        text = EVENTS.get(event.event, event.event)
    outcome = event.outcome or ""
    if outcome.startswith(REPLACED):
        outcome = "原为" + outcome.removeprefix(REPLACED)
    parts = (
        _word(GATEWAYS, event.gateway),
        outcome_text(outcome),
        _word(RECEIPTS, event.receipt),
        _word(REASONS, event.reason),
    )
    return TimelineEvent(event, text, "，".join(part for part in parts if part))


def _word(known: dict[str, str], word: str | None) -> str:
    return known.get(word, word) if word else ""


def _key(overview: Overview) -> str:
    """Return the key of the sentence for what keeps codes away, the gravest first."""
    findings = overview.findings
    grave = (Finding.CLOSED, Finding.FROZEN, Finding.NO_WAY, Finding.NOT_FOLLOWING)
    for finding in (*grave, Finding.LOCKED, Finding.LOCKED_UNTIL_LATER):
        if finding in findings:
            return finding.value
    last = overview.sends[0] if overview.sends else None
    is_reset = overview.must_change and (
        last is None or last.at < (overview.changed_at or 0) or overview.changed_at is None
    )
    if is_reset and overview.reset_year is not None:
        return _DEFAULT_PASSWORD
    of_send = [
        finding
        for finding in findings
        if finding not in (Finding.FOLLOWING_UNKNOWN, Finding.NO_PASSWORD)
    ]
    return of_send[0].value


def _values(overview: Overview, key: str) -> dict[str, str]:
    """Return the values of the sentences' placeholders."""
    lifted = [lock for lock in overview.locks if lock.kind is not LockKind.RESEND_PAUSE]
    lock = max(lifted, key=lambda one: one.until, default=None)
    send = overview.sends[0] if overview.sends else None
    known = overview.phone if overview.method == "sms" else WECHAT
    reason = _word(REASONS, send.reason) if send else ""
    return {
        "login": overview.login,
        "frozen": beijing_time(overview.frozen_at) if overview.frozen_at else "",
        "closed": beijing_time(overview.closed_at) if overview.closed_at else "",
        "erased": beijing_time(overview.erased_at) if overview.erased_at else "",
        "lock": LOCKS[lock.kind] if lock else "",
        "until": beijing_time(lock.until) if lock else "",
        "time": beijing_time(send.at) if send else "",
        "gateway": _word(GATEWAYS, send.gateway) if send else "",
        "to": (send.destination if send else None) or known or "",
        "reason": reason or NO_REASON,
        "year": str(overview.reset_year or ""),
    }


def _requesters(events: Sequence[Event], since: int) -> tuple[Requester, ...]:
    """Return the visitors of the last day, the busiest first."""
    counts: dict[str, tuple[int, int]] = {}
    for event in events:
        is_visitor = event.requester is not None and event.actor == "person"
        if event.requester is None or not is_visitor or event.at < since:
            continue
        count, last = counts.get(event.requester, (0, 0))
        counts[event.requester] = (count + (event.occurrences or 1), max(last, event.at))
    requesters = [Requester(mark, count, last) for mark, (count, last) in counts.items()]
    return tuple(sorted(requesters, key=lambda one: (-one.events, one.requester)))
