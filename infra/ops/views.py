"""Render results on the operator's terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from chalicelib.domain.audit_texts import outcome_text
from chalicelib.domain.catalogue import fill
from chalicelib.domain.staff import ACTOR
from chalicelib.services.desk.find import FindResult
from chalicelib.services.diagnosis import Overview
from chalicelib.services.notifications import BEIJING, beijing_time
from chalicelib.services.refusals import LIMITED
from chalicelib.services.support import REPLACED
from chalicelib.services.yearly_reset import DeadLetters, Forecast, begun_early
from chalicelib.store.accounts import Event
from chalicelib.store.audit_days import DayEvent
from chalicelib.store.reset_runs import Note, Run

from . import words
from .enrol import Preview
from .enrolment.enrolment import Report, Result

_MOST_ROWS = 100
_MOST_PREVIEWED = 20
# Columns that are never folded; the others share the remaining width.
# Widths in cells: a table whose columns would be narrower is printed as records.
_SHORT_PHRASE = 12
_LONG_WORD = 24
_GAP = 3
_NARROW = frozenset({words.TIME, words.DESTINATION, words.ROW, words.FIRM_NO})


def overview(console: Console, summary: Overview) -> None:
    """Print a login: its state, findings, exhausted limits and last codes."""
    facts = _facts_table()
    for key, text in _facts(summary).items():
        facts.add_row(words.ACCOUNT_ROWS[key], text)
    console.print(facts)
    if summary.findings:
        console.print(f"\n{words.FINDINGS_TITLE}", style="bold")
        for finding in summary.findings:
            console.print("  " + words.FINDINGS[finding])
    if summary.locks:
        locks = [(words.LOCKS[lock.kind], beijing_time(lock.until)) for lock in summary.locks]
        _table(console, words.LOCKS_TITLE, words.LOCK_COLUMNS, locks)
    if summary.sends:
        _table(console, words.SENDS_TITLE, words.SEND_COLUMNS, map(_send, summary.sends))


def _facts_table() -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _facts(summary: Overview) -> dict[str, str]:
    wechat = words.NOT_BOUND
    if summary.wechat_bound:
        since = fill(words.BOUND_SINCE, time=_time(summary.bound_at))
        wechat = since if summary.bound_at else words.BOUND
    rows = {
        "login": f"{summary.login}（{words.KINDS[summary.kind]}）",
        "firm": summary.firm or words.UNKNOWN,
        "method": words.METHODS[summary.method] if summary.method else words.NO_METHOD,
        "phone": summary.phone or words.NOT_BOUND,
        "wechat": wechat,
    }
    if summary.wechat_bound:
        following = {True: words.YES, False: words.NO, None: words.UNKNOWN}
        rows["following"] = following[summary.following]
    rows["password"] = "；".join(_password(summary))
    rows["code"] = (
        fill(words.CODE_UNTIL, time=_time(summary.code_until)) if summary.code_until else words.NONE
    )
    if summary.closed_at is not None:
        rows["closed"] = fill(
            words.CLOSED_SINCE, closed=_time(summary.closed_at), erased=_time(summary.erased_at)
        )
    return rows


def _password(summary: Overview) -> list[str]:
    parts = []
    if not summary.has_password:
        parts.append(words.HAS_NO_PASSWORD)
    if summary.must_change:
        parts.append(words.MUST_CHANGE)
    if summary.has_password and summary.changed_at:
        parts.append(fill(words.CHANGED_AT, time=_time(summary.changed_at)))
    if summary.recovered_at:
        parts.append(fill(words.RECOVERED_AT, time=_time(summary.recovered_at)))
    if summary.reset_year:
        parts.append(fill(words.RESET_YEAR, year=summary.reset_year))
    return parts


def _send(event: Event) -> Sequence[str]:
    return (
        _stamp(event.at),
        _word(words.METHODS, event.method),
        event.destination or "",
        _word(words.GATEWAYS, event.gateway),
        _word(words.OUTCOMES, event.outcome),
        _word(words.RECEIPTS, event.receipt),
        _word(words.REASONS, event.reason),
    )


def history(console: Console, events: Sequence[Event]) -> None:
    """Print a login's audit events, newest first."""
    if not events:
        console.print(words.NO_EVENTS)
        return
    _table(console, None, words.AUDIT_COLUMNS, map(_history_row, events))


def _history_row(event: Event) -> Sequence[str]:
    return (
        _stamp(event.at),
        _event(event),
        _word(words.ACTORS, event.actor.rpartition(":")[2]),
        event.destination or _word(words.METHODS, event.method),
        _outcome(event),
        _word(words.REASONS, event.reason),
        " ".join(filter(None, (event.requester, event.request_id))),
    )


def acts(console: Console, events: Sequence[DayEvent]) -> None:
    """Print acts of the staff with the logins that they are about, oldest first."""
    if not events:
        console.print(words.NO_EVENTS)
        return
    rows = []
    for each in events:
        about = "" if each.login.startswith((ACTOR, "arn:")) else each.login
        first, *others = _history_row(each.event)
        rows.append((first, about, *others))
    time, *columns = words.AUDIT_COLUMNS
    _table(console, None, (time, words.ACCOUNT_ROWS["login"], *columns), rows)


def firms(console: Console, found: FindResult) -> None:
    """Print the firms of a search, a line for each login."""
    if not found.firms:
        console.print(words.FIND_NOTHING)
        return
    rows = [
        (
            login.login,
            firm.name if firm.closed_at is None else fill(words.FIRM_CLOSED, name=firm.name),
            firm.province,
            login.phone or words.NONE,
            words.BOUND if login.wechat_bound else words.NOT_BOUND,
        )
        for firm in found.firms
        for login in firm.logins
    ]
    _table(console, None, words.FIND_COLUMNS, rows)
    if found.more:
        console.print(words.FIND_MORE)


def _event(event: Event) -> str:
    if event.event.startswith(LIMITED):
        limit = event.event.removeprefix(LIMITED)
        return fill(words.REFUSED, limit=_word(words.LOCKS, limit))
    return _word(words.EVENTS, event.event)


def _outcome(event: Event) -> str:
    if event.occurrences is not None and event.first_at is not None:
        return fill(words.REPEATED, count=event.occurrences, first=_stamp(event.first_at))
    if event.outcome and event.outcome.startswith(REPLACED):
        return fill(words.REPLACED, phone=event.outcome.removeprefix(REPLACED))
    parts = [
        _word(words.GATEWAYS, event.gateway),
        outcome_text(event.outcome),
        _word(words.RECEIPTS, event.receipt),
    ]
    return " ".join(part for part in parts if part)


def menu(console: Console, buttons: Sequence[Mapping[str, str]], was_set: bool) -> None:
    """Print the Official Account's menu; `was_set` where it was set just now."""
    rows = [
        (
            button["name"],
            fill(words.MENU_VIEW, url=button["url"])
            if button["type"] == "view"
            else fill(words.MENU_CLICK, key=button["key"]),
        )
        for button in buttons
    ]
    _table(console, None, words.MENU_COLUMNS, rows)
    console.print(words.MENU_MADE if was_set else words.MENU_PREVIEW)


def report(console: Console, loaded: Report) -> None:
    """Print the totals of a load with the refused rows and the rows with notes."""
    if loaded.refused:
        rows = [_row(result, result.reasons) for result in loaded.refused[:_MOST_ROWS]]
        _table(console, words.REFUSED_TITLE, words.REFUSED_COLUMNS, rows)
        _more(console, len(loaded.refused))
    if loaded.with_notes:
        rows = [_row(result, result.notes) for result in loaded.with_notes[:_MOST_ROWS]]
        _table(console, words.NOTES_TITLE, words.NOTES_COLUMNS, rows)
        _more(console, len(loaded.with_notes))
    console.print(
        fill(
            words.LOADED,
            loaded=loaded.loaded,
            unchanged=loaded.unchanged,
            refused=len(loaded.refused),
            seconds=f"{loaded.seconds:.1f}",
        )
    )
    if loaded.hashes:
        rate = f"{loaded.hashes_per_second:.1f}"
        console.print(fill(words.HASHED, hashes=loaded.hashes, rate=rate))
    if loaded.schemes:
        counts = "、".join(f"{scheme} {count}" for scheme, count in sorted(loaded.schemes.items()))
        console.print(fill(words.SCHEMES, counts=counts))


def preview(console: Console, summary: Preview) -> None:
    """Print what an update of some columns would change."""
    text = fill(words.UPDATE_PREVIEW, rows=summary.rows, firms=len(summary.firms))
    console.print(text)
    for column, count in sorted(summary.columns.items()):
        console.print(f"  {count:>8}  {column}")
    if summary.firms:
        some = "、".join(summary.firms[:_MOST_PREVIEWED])
        more = "…" if len(summary.firms) > _MOST_PREVIEWED else ""
        console.print(f"  {some}{more}")


def _row(result: Result, texts: Sequence[str]) -> Sequence[str]:
    return str(result.row), result.firm_no, "\n".join(texts)


def _more(console: Console, count: int) -> None:
    if count > _MOST_ROWS:
        console.print(fill(words.MORE, count=count - _MOST_ROWS))


def _table(
    console: Console, title: str | None, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    if title:
        console.print(f"\n{title}", style="bold")
    cells = [tuple(row) for row in rows]
    if not _fits(console, columns, cells):
        _records(console, columns, cells)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _NARROW)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _fits(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether no column is so narrow that it breaks words or short phrases."""
    needed = 0
    for column, cells in zip(columns, zip(columns, *rows, strict=True), strict=True):
        lines = [line for cell in cells for line in cell.splitlines()]
        widest = max(map(cell_len, lines))
        longest_word = max((cell_len(word) for line in lines for word in line.split()), default=0)
        least = min(max(longest_word, _SHORT_PHRASE), _LONG_WORD)
        needed += _GAP + (widest if column in _NARROW else min(widest, least))
    return needed <= console.width


def _records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as lines of a name and a text, for a terminal too narrow for the table."""
    for row in rows:
        record = _facts_table()
        for column, cell in zip(columns, row, strict=True):
            if cell:
                record.add_row(column, cell)
        console.print(record)
        console.print()


def _word(known: dict[str, str], word: str | None) -> str:
    return known.get(word, word) if word else ""


def _time(at: int | None) -> str:
    return beijing_time(at) if at else ""


def _stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at, BEIJING):%Y-%m-%d %H:%M}"


def forecast(console: Console, year: int, summary: Forecast) -> None:
    """Print what a yearly reset would do, by outcome."""
    console.print(fill(words.RESET_FORECAST, year=year, logins=summary.logins))
    for outcome, count in sorted(summary.outcomes.items(), key=lambda one: -one[1]):
        console.print(f"  {count:>8}  {words.RESET_OUTCOMES.get(outcome, outcome)}")


def _resumed(summary: Run) -> str:
    if summary.resumed_at is None:
        return ""
    return fill(
        words.RESET_RESUMED,
        time=beijing_time(summary.resumed_at),
        by=summary.resumed_by or "",
        reason=summary.resumed_reason or "",
    )


def run(
    console: Console, summary: Run, state: str, notes: Sequence[Note], dead: DeadLetters
) -> None:
    """Print the progress of a yearly reset and the logins that it did not reset."""
    by = words.ACTORS.get(summary.started_by, summary.started_by)
    rows = {
        "year": str(summary.year),
        "state": words.RESET_STATES[state],
        "started": fill(words.RESET_STARTED, time=beijing_time(summary.started_at), by=by),
        "reason": summary.reason or "",
        "resumed": _resumed(summary),
        "ended": _time(summary.ended_at),
        "logins": str(summary.logins),
        "done": str(summary.done),
        "skipped": str(summary.skipped),
        "failed": str(summary.failed),
        "chunks": fill(words.RESET_CHUNKS, finished=summary.finished_chunks, chunks=summary.chunks),
        "dead": "、".join(dead.messages) or words.NONE,
        # One in a line: each is searched for in the console of SQS.
        "unreadable": "\n".join(dead.unreadable),
    }
    facts = _facts_table()
    for key, text in rows.items():
        if text or key == "ended":
            facts.add_row(words.RESET_ROWS[key], text)
    console.print(facts)
    if begun_early(summary):
        console.print(fill(words.RESET_EARLY, year=summary.year), style="bold")
    if notes:
        note_rows = [
            (
                note.login,
                words.RESET_NOTE_OUTCOMES[note.outcome],
                words.RESET_OUTCOMES.get(note.reason, note.reason),
            )
            for note in notes[:_MOST_ROWS]
        ]
        _table(console, words.RESET_NOTES_TITLE, words.RESET_NOTE_COLUMNS, note_rows)
    if dead.unreadable:
        console.print(words.RESET_UNREADABLE_HINT)
    if dead.messages:
        console.print(fill(words.RESET_DEAD_HINT, year=summary.year))
