"""The yearly reset as it is kept: the run, its chunks of logins, and what became of each login.

A chunk is written together with the run's cursor, so that each login is in one chunk however often
and by how many the planning is done; and it is finished together with the run's counts, so that it
is counted once however often it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.errors import Unavailable
from ..domain.limits import DAY
from . import audit
from .code_updates import END_CODE
from .dynamo import (
    ConditionFailed,
    raw_number,
    read,
    read_together,
    transact,
    translate_errors,
    update,
)
from .models import CodeItem, LoginItem, RunItem

RUN = "run"
_CHUNK = "chunk#"
# Scanned in one request; half of the logins are finance accounts.
_PAGE = 1_000
_SUFFIX = "_cw"
_TELLING = 60


@dataclass(frozen=True)
class Run:
    """A yearly reset; the counts are of logins unless they say chunks. Times in epoch seconds."""

    year: int
    started_at: int
    started_by: str
    cursor: str | None
    planned: bool
    chunks: int
    finished_chunks: int
    logins: int
    done: int
    skipped: int
    failed: int
    ended_at: int | None
    told_at: int | None

    @property
    def complete(self) -> bool:
        """Whether every login is accounted for."""
        return self.planned and self.finished_chunks == self.chunks


@dataclass(frozen=True)
class Note:
    """A login whose password was not set: `skipped` or `failed`, and why."""

    login: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Some logins of a run, worked together."""

    part: str
    logins: tuple[str, ...]
    finished: bool
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class FinanceLogin:
    """What a reset must know of a login. Times in epoch seconds."""

    login: str
    province: str | None
    head_id_last4: str | None = field(repr=False)
    reset_year: int | None
    changed_at: int


class ResetRuns:
    """Runs by year. Every method raises Unavailable where DynamoDB does not answer."""

    def open(self, year: int, started_by: str, now: int) -> tuple[Run, bool]:
        """The year's run, and whether it is a new one."""
        item = RunItem(str(year), RUN)
        actions = [
            RunItem.started_at.set(now),
            RunItem.started_by.set(started_by),
            RunItem.planned.set(False),
            *(
                count.set(0)
                for count in (
                    RunItem.chunks,
                    RunItem.finished_chunks,
                    RunItem.logins,
                    RunItem.done,
                    RunItem.skipped,
                    RunItem.failed,
                )
            ),
        ]
        try:
            return _run(update(item, actions, RunItem.year.does_not_exist())), True
        except ConditionFailed as refused:
            return _run(RunItem.from_raw_data(refused.items[0] or {})), False

    def get(self, year: int) -> Run | None:
        """The year's run by a consistent read, or None."""
        item = read(RunItem, str(year), RUN)
        return None if item is None else _run(item)

    def finance_logins(self, after: str | None, most: int) -> tuple[list[FinanceLogin], bool]:
        """The next finance logins behind `after` in the table's order, and whether these are all."""
        found: list[FinanceLogin] = []
        start = None if after is None else {"login": {"S": after}}
        while True:
            page = LoginItem.scan(
                page_size=_PAGE, limit=_PAGE, last_evaluated_key=start, consistent_read=True
            )
            with translate_errors():
                items = list(page)
            for item in items:
                if item.login.endswith(_SUFFIX):
                    found.append(_finance_login(item))
                    if len(found) == most:
                        return found, False
            start = page.last_evaluated_key
            if start is None:
                return found, True

    def add_chunks(self, run: Run, chunks: Sequence[Sequence[str]], *, last: bool) -> list[str]:
        """Write the next chunks and move the cursor behind them: one transaction.

        At most 99 chunks. Returns their names. Raises ConditionFailed where somebody else went on from
        where `run` stood.
        """
        parts = [f"{_CHUNK}{run.chunks + number:08d}" for number in range(len(chunks))]
        cursor = chunks[-1][-1] if chunks else None

        def build(transaction: TransactWrite) -> None:
            for part, logins in zip(parts, chunks, strict=True):
                transaction.save(RunItem(str(run.year), part, members=list(logins), finished=False))
            actions: list[Action] = [
                RunItem.chunks.set(run.chunks + len(chunks)),
                RunItem.logins.add(sum(map(len, chunks))),
                RunItem.planned.set(last),
            ]
            if cursor is not None:
                actions.append(RunItem.cursor.set(cursor))
            transaction.update(
                RunItem(str(run.year), RUN),
                actions,
                (RunItem.chunks == run.chunks) & (RunItem.planned == False),  # noqa: E712
            )

        transact(build, RunItem)
        return parts

    def chunk(self, year: int, part: str) -> Chunk | None:
        """A chunk by a consistent read, or None."""
        item = read(RunItem, str(year), part)
        return None if item is None or part == RUN else _chunk(item)

    def chunks(self, year: int) -> Iterator[Chunk]:
        """Every chunk of a run, page by page."""
        pages = RunItem.query(
            str(year), RunItem.part.startswith(_CHUNK), consistent_read=True, page_size=100
        )
        while True:
            with translate_errors():
                item = next(pages, None)
            if item is None:
                return
            yield _chunk(item)

    def logins(self, names: Sequence[str]) -> dict[str, FinanceLogin]:
        """Logins by name, by consistent reads; those that there are not are left out."""
        found = read_together([(LoginItem, name) for name in names])
        return {
            item.login: _finance_login(item)
            for item in found.values()
            if isinstance(item, LoginItem)
        }

    def reset(self, run: Run, login: str, password_hash: str, now: int) -> str:
        """Give the login its password of the year, where that is still to be done: one transaction.

        The open code ends, and every recovery that began before. Returns `done`, also where an
        earlier delivery did it, or why not: `gone`, `later-year`, `changed`.
        """
        year = run.year
        try:
            transact(
                lambda transaction: _add_reset(transaction, run, login, password_hash, now),
                LoginItem,
            )
        except ConditionFailed as refused:
            stood = next((item for item in refused.items if item is not None), None)
            if stood is None:
                return "gone"
            reset_year = raw_number(stood, "reset_year")
            if reset_year == year:
                return "done"
            return "later-year" if reset_year is not None and reset_year > year else "changed"
        return "done"

    def reset_together(self, run: Run, hashes: Mapping[str, str], now: int) -> bool:
        """Give these logins their passwords as `reset` does, all or none: one transaction.

        At most 33 logins. False where one of them stands in the way of the others.
        """

        def build(transaction: TransactWrite) -> None:
            for login, password_hash in hashes.items():
                _add_reset(transaction, run, login, password_hash, now)

        try:
            transact(build, LoginItem)
        except (ConditionFailed, Unavailable):
            # Somebody may be at work on a single login; asked one by one, the others succeed.
            return False
        return True

    def finish(self, run: Run, chunk: Chunk, notes: Sequence[Note]) -> None:
        """Finish a chunk and count it, once: one transaction; a finished one stays as it is."""
        self._settle(run, chunk, notes, finished=True)

    def reopen(self, run: Run, chunk: Chunk) -> None:
        """Take a finished chunk's counts back, so that it is worked again: one transaction."""
        self._settle(run, chunk, chunk.notes, finished=False)

    def _settle(self, run: Run, chunk: Chunk, notes: Sequence[Note], *, finished: bool) -> None:
        skipped = sum(note.outcome == "skipped" for note in notes)
        failed = len(notes) - skipped
        sign = 1 if finished else -1
        actions: list[Action] = [
            RunItem.finished_chunks.add(sign),
            RunItem.done.add(sign * (len(chunk.logins) - len(notes))),
            RunItem.skipped.add(sign * skipped),
            RunItem.failed.add(sign * failed),
        ]
        if not finished:
            actions += [RunItem.ended_at.remove(), RunItem.told_at.remove()]
        kept = [f"{note.login} {note.outcome} {note.reason}" for note in notes] if finished else []

        def build(transaction: TransactWrite) -> None:
            transaction.update(
                RunItem(str(run.year), chunk.part),
                [RunItem.finished.set(finished), RunItem.notes.set(kept)],
                RunItem.finished == (not finished),
            )
            transaction.update(RunItem(str(run.year), RUN), actions, RunItem.year.exists())

        try:
            transact(build, RunItem)
        except ConditionFailed:
            # Another delivery was first, and has counted it.
            return

    def claim_notification(self, run: Run, now: int) -> bool:
        """Note that the run has ended; whether the caller is the one to tell operators."""
        free = RunItem.notify_lease_until.does_not_exist() | (RunItem.notify_lease_until <= now)
        actions: list[Action] = [RunItem.notify_lease_until.set(now + _TELLING)]
        if run.ended_at is None:
            actions.append(RunItem.ended_at.set(now))
        try:
            update(
                RunItem(str(run.year), RUN),
                actions,
                RunItem.told_at.does_not_exist()
                & free
                & (RunItem.planned == True)  # noqa: E712
                & (RunItem.finished_chunks == RunItem.chunks),
                lambda seen: seen.notify_lease_until == now + _TELLING,
            )
        except ConditionFailed:
            return False
        return True

    def settle_notification(self, run: Run, now: int, *, told: bool) -> None:
        """Note that operators were told, or leave the telling to the next who asks."""
        actions: list[Action] = [RunItem.notify_lease_until.remove()]
        if told:
            actions.append(RunItem.told_at.set(now))
        update(RunItem(str(run.year), RUN), actions, RunItem.year.exists())


def _add_reset(
    transaction: TransactWrite, run: Run, login: str, password_hash: str, now: int
) -> None:
    fresh = LoginItem.reset_year.does_not_exist() | (LoginItem.reset_year < run.year)
    transaction.save(
        audit.entry(login, "yearly-reset", now, actor="yearly-reset", outcome=str(run.year))
    )
    transaction.update(
        LoginItem(login),
        [
            LoginItem.password_hash.set(password_hash),
            LoginItem.password_version.set(LoginItem.password_version + 1),
            LoginItem.changed_at.set(now),
            LoginItem.must_change.set(True),
            LoginItem.reset_year.set(run.year),
        ],
        LoginItem.login.exists() & fresh & (LoginItem.changed_at < run.started_at),
        return_values="ALL_OLD",
    )
    transaction.update(CodeItem(f"code#{login}"), [*END_CODE, CodeItem.expires_at.set(now + DAY)])


def _run(item: RunItem) -> Run:
    return Run(
        year=int(item.year),
        started_at=int(item.started_at),
        started_by=item.started_by,
        cursor=item.cursor,
        planned=bool(item.planned),
        chunks=int(item.chunks),
        finished_chunks=int(item.finished_chunks),
        logins=int(item.logins),
        done=int(item.done),
        skipped=int(item.skipped),
        failed=int(item.failed),
        ended_at=None if item.ended_at is None else int(item.ended_at),
        told_at=None if item.told_at is None else int(item.told_at),
    )


def _chunk(item: RunItem) -> Chunk:
    notes = tuple(Note(*str(note).split(" ", 2)) for note in item.notes or ())
    return Chunk(item.part, tuple(item.members or ()), bool(item.finished), notes)


def _finance_login(item: LoginItem) -> FinanceLogin:
    return FinanceLogin(
        login=item.login,
        province=item.province,
        head_id_last4=item.head_id_last4,
        reset_year=None if item.reset_year is None else int(item.reset_year),
        changed_at=int(item.changed_at),
    )


__all__ = ["Chunk", "ConditionFailed", "FinanceLogin", "Note", "ResetRuns", "Run"]
