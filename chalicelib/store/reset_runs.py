"""The yearly reset as stored: the run, its chunks of logins, and the outcome of each login.

One transaction writes chunks and the run's cursor, so that each login is in exactly one chunk even
if several workers plan at once. One transaction finishes a chunk and adds to the run's counts, so
that a chunk is counted once however often its message is delivered.
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
from .ephemeral_models import CodeItem
from .models import LoginItem, RunItem

RUN = "run"
_CHUNK, _SUFFIX = "chunk#", "_cw"
# Logins scanned in one request; half of them are finance accounts.
_PAGE = 1_000
# Seconds that one worker has to notify operators.
_NOTIFY_LEASE = 60


@dataclass(frozen=True)
class Run:
    """A yearly reset. Times in epoch seconds; counts are of logins unless named chunks."""

    year: int
    started_at: int
    started_by: str
    cursor: str | None
    """The last login that is in a chunk; None before the first."""
    planned: bool
    """Whether every login is in a chunk."""
    chunks: int
    finished_chunks: int
    logins: int
    done: int
    skipped: int
    failed: int
    ended_at: int | None
    told_at: int | None
    reason: str | None = None
    """The operator's reason to start the run; None for the schedule's."""
    resumed_at: int | None = None
    """When an operator last started the run again; None if none did."""
    resumed_by: str | None = None
    resumed_reason: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every login is accounted for."""
        return self.planned and self.finished_chunks == self.chunks


@dataclass(frozen=True)
class Note:
    """A login whose password was not set; `outcome` is `skipped` or `failed`."""

    login: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """A part of a run's logins, processed by one message."""

    part: str
    logins: tuple[str, ...]
    finished: bool
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class FinanceLogin:
    """The attributes of a finance login that a reset needs. Times in epoch seconds."""

    login: str
    province: str | None
    head_id_last4: str | None = field(repr=False)
    reset_year: int | None
    changed_at: int


class ResetRuns:
    """Runs by year. Every method raises Unavailable if DynamoDB does not respond."""

    def open(
        self, year: int, started_by: str, now: int, reason: str | None = None
    ) -> tuple[Run, bool]:
        """Return the year's run, created if necessary, and whether it is new.

        `now` in epoch seconds; `reason` is an operator's, None for the schedule's start.
        """
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
        if reason is not None:
            actions.append(RunItem.reason.set(reason))
        try:
            return _run(update(item, actions, RunItem.year.does_not_exist())), True
        except ConditionFailed as refused:
            return _run(RunItem.from_raw_data(refused.items[0] or {})), False

    def record_resumption(self, year: int, resumed_by: str, reason: str, now: int) -> None:
        """Store who started an existing run again, and why. `now` in epoch seconds."""
        actions: list[Action] = [
            RunItem.resumed_at.set(now),
            RunItem.resumed_by.set(resumed_by),
            RunItem.resumed_reason.set(reason),
        ]
        update(RunItem(str(year), RUN), actions, RunItem.year.exists())

    def get(self, year: int) -> Run | None:
        """Return the year's run by a consistent read, or None."""
        item = read(RunItem, str(year), RUN)
        return None if item is None else _run(item)

    def finance_logins(self, after: str | None, most: int) -> tuple[list[FinanceLogin], bool]:
        """Return at most `most` finance logins after `after`, and whether they are the last ones.

        The order is that of a scan of the table; `after` None starts at its beginning.
        """
        logins: list[FinanceLogin] = []
        start = None if after is None else {"login": {"S": after}}
        while True:
            page = LoginItem.scan(
                page_size=_PAGE, limit=_PAGE, last_evaluated_key=start, consistent_read=True
            )
            with translate_errors():
                items = list(page)
            for item in items:
                if item.login.endswith(_SUFFIX):
                    logins.append(_finance_login(item))
                    if len(logins) == most:
                        return logins, False
            start = page.last_evaluated_key
            if start is None:
                return logins, True

    def add_chunks(self, run: Run, chunks: Sequence[Sequence[str]], *, last: bool) -> list[str]:
        """Write the next chunks and advance the cursor to their last login in one transaction.

        At most 99 chunks; `last` completes the planning. Returns the chunks' parts. Raises
        ConditionFailed if another worker has added chunks since `run` was read.
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
        """Return a chunk by a consistent read, or None."""
        item = read(RunItem, str(year), part)
        return None if item is None or part == RUN else _chunk(item)

    def chunks(self, year: int) -> Iterator[Chunk]:
        """Yield every chunk of a run in order, by consistent reads of a page each."""
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
        """Return logins by name, by consistent reads; missing logins are omitted."""
        items = read_together([(LoginItem, name) for name in names])
        return {
            item.login: _finance_login(item)
            for item in items.values()
            if isinstance(item, LoginItem)
        }

    def reset(self, run: Run, login: str, password_hash: str, now: int) -> str:
        """Set the login's password of the year in one transaction, unless already done.

        The live code and every recovery in progress end. `now` in epoch seconds. Returns `done`,
        also if an earlier delivery did it; `gone` if the login does not exist; `later-year` if a
        later year's run has set it; `changed` if the password was changed after the run began.
        """
        year = run.year
        try:
            transact(
                lambda transaction: _add_reset(transaction, run, login, password_hash, now),
                LoginItem,
            )
        except ConditionFailed as refused:
            current = next((item for item in refused.items if item is not None), None)
            if current is None:
                return "gone"
            reset_year = raw_number(current, "reset_year")
            if reset_year == year:
                return "done"
            return "later-year" if reset_year is not None and reset_year > year else "changed"
        return "done"

    def reset_together(self, run: Run, hashes: Mapping[str, str], now: int) -> bool:
        """Set the passwords of several logins as `reset` does, all or none, in one transaction.

        `hashes` has at most 33 hashes by login. Returns False if that failed; `reset` for
        each login is then safe, even if the outcome is unknown.
        """

        def build(transaction: TransactWrite) -> None:
            for login, password_hash in hashes.items():
                _add_reset(transaction, run, login, password_hash, now)

        try:
            transact(build, LoginItem)
        except (ConditionFailed, Unavailable):
            # A conflict on one login fails them all; `reset` for each then succeeds for the others.
            return False
        return True

    def finish(self, run: Run, chunk: Chunk, notes: Sequence[Note]) -> None:
        """Finish a chunk and add it to the run's counts in one transaction.

        `notes` names the members whose password was not set. A finished chunk stays unchanged.
        """
        self._settle(run, chunk, notes, finished=True)

    def reopen(self, run: Run, chunk: Chunk) -> None:
        """Reopen a finished chunk and subtract it from the run's counts in one transaction.

        An open chunk stays unchanged.
        """
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
        lines = [f"{note.login} {note.outcome} {note.reason}" for note in notes] if finished else []

        def build(transaction: TransactWrite) -> None:
            transaction.update(
                RunItem(str(run.year), chunk.part),
                [RunItem.finished.set(finished), RunItem.notes.set(lines)],
                RunItem.finished == (not finished),
            )
            transaction.update(RunItem(str(run.year), RUN), actions, RunItem.year.exists())

        try:
            transact(build, RunItem)
        except ConditionFailed:
            # Another delivery of the same message has done it already.
            return

    def claim_notification(self, run: Run, now: int) -> bool:
        """Store that the run has ended and return whether the caller must notify operators.

        `now` in epoch seconds. True once, and again if no `settle_notification` follows in time.
        False while the run is not complete.
        """
        is_free = RunItem.notify_lease_until.does_not_exist() | (RunItem.notify_lease_until <= now)
        actions: list[Action] = [RunItem.notify_lease_until.set(now + _NOTIFY_LEASE)]
        if run.ended_at is None:
            actions.append(RunItem.ended_at.set(now))
        try:
            update(
                RunItem(str(run.year), RUN),
                actions,
                RunItem.told_at.does_not_exist()
                & is_free
                & (RunItem.planned == True)  # noqa: E712
                & (RunItem.finished_chunks == RunItem.chunks),
                lambda seen: seen.notify_lease_until == now + _NOTIFY_LEASE,
            )
        except ConditionFailed:
            return False
        return True

    def settle_notification(self, run: Run, now: int, *, told: bool) -> None:
        """Store that operators were notified, or release the lease for the next caller."""
        actions: list[Action] = [RunItem.notify_lease_until.remove()]
        if told:
            actions.append(RunItem.told_at.set(now))
        update(RunItem(str(run.year), RUN), actions, RunItem.year.exists())


def _add_reset(
    transaction: TransactWrite, run: Run, login: str, password_hash: str, now: int
) -> None:
    not_reset_yet = LoginItem.reset_year.does_not_exist() | (LoginItem.reset_year < run.year)
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
        LoginItem.login.exists() & not_reset_yet & (LoginItem.changed_at < run.started_at),
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
        reason=item.reason,
        resumed_at=None if item.resumed_at is None else int(item.resumed_at),
        resumed_by=item.resumed_by,
        resumed_reason=item.resumed_reason,
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
