"""Set every finance login's password to the year's default password, once a year.

Planning divides the logins into chunks and queues a message for each chunk; workers process the
chunks. Either may be repeated, run in parallel, or be interrupted at any point: the tables alone
record what is done, and starting the run again completes what is missing. No message, log or item
contains a password or a part of one.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..domain.catalogue import (
    INPUT_REASONS,
    RESET_BEGUN_EARLY,
    RESET_ENDED,
    RESET_WAS_EARLY,
    RESET_WAS_EARLY_OPEN,
    fill,
)
from ..domain.errors import InvalidInput, ServiceError, Unavailable
from ..domain.passwords import default_password
from ..messaging.queue import Message, Queue
from ..messaging.topic import Topic
from ..security.password_hasher import PasswordHasher
from ..store.reset_runs import Chunk, ConditionFailed, FinanceLogin, Note, ResetRuns, Run
from .notifications import BEIJING, beijing_time
from .ports import Count

log = logging.getLogger(__name__)

CHUNK = 25
"""Logins of one message: about a second of CPU time."""

# Chunks written in one transaction, which may contain at most a hundred items.
_CHUNKS_PER_WRITE = 20

_FIRST_YEAR = 2000

SCHEDULE = "schedule"
"""Who started a run: the schedule, in place of an operator's ARN."""

# The content of the message that announces a run begun early. A worker sends the announcement,
# since an operator's process has neither the topic nor the alarms' metrics.
_EARLY = "begun-early"


def reporting_year(at: int) -> int:
    """Return the year in Beijing at a time in epoch seconds."""
    return datetime.fromtimestamp(at, BEIJING).year


def in_first_week(year: int, at: int) -> bool:
    """Return whether `at`, in epoch seconds, is within 1 to 7 January of the year in Beijing."""
    local = datetime.fromtimestamp(at, BEIJING)
    return (local.year, local.month) == (year, 1) and local.day <= 7


def begun_early(run: Run) -> bool:
    """Return whether an operator started the run before 1 January of its year in Beijing."""
    # The schedule is exact; a function's clock may be some milliseconds behind.
    return run.started_by != SCHEDULE and reporting_year(run.started_at) < run.year


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _always() -> bool:
    return True


class Unfinished(Exception):
    """Some logins of a chunk failed for now; the chunk must be processed again."""


@dataclass(frozen=True)
class Forecast:
    """The expected outcomes of a run: numbers of logins by `done`, `already` or a skip reason."""

    logins: int
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class DeadLetters:
    """Messages that failed too often, and others that somebody put into their queue."""

    messages: tuple[str, ...]
    """Names of the year's chunks or events, or `plan`."""
    unreadable: tuple[str, ...]
    """SQS's ids of messages that are not of the yearly reset; they are never put back."""


class YearlyReset:
    """Plans the run, processes its chunks, and notifies operators when it has ended."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        runs: ResetRuns,
        queue: Queue,
        topic: Topic,
        hasher: PasswordHasher,
        area_codes: Mapping[str, str],
        count: Count,
        cores: int,
    ) -> None:
        """`area_codes` overrides the table; at most `cores` chunks are hashed at once."""
        self._hashing = threading.Semaphore(cores)
        self._clock = clock
        self._runs = runs
        self._queue = queue
        self._topic = topic
        self._hasher = hasher
        self._area_codes = area_codes
        self._count = count

    def start(
        self,
        year: int,
        started_by: str,
        has_time: Callable[[], bool] = _always,
        *,
        reason: str | None = None,
    ) -> Run:
        """Begin the year's run, or resume an existing one.

        `started_by` is SCHEDULE or an operator's ARN, with the operator's `reason`. A run begun
        before its year is announced to operators, and once more when the schedule finds it.
        Once `has_time` returns False, a message is queued and a worker continues the planning.
        Raises InvalidInput for an implausible year, Unavailable; starting again then resumes.
        """
        if not _FIRST_YEAR <= year <= reporting_year(self._clock()) + 1:
            raise InvalidInput("year", INPUT_REASONS["year"])
        now = self._clock()
        run, new = self._runs.open(year, started_by, now, reason)
        early = begun_early(run)
        if early and started_by != SCHEDULE:
            # Also at a repeated start: the first one may have failed before this message.
            self._queue.send([{"year": year, "event": _EARLY}])
        if not new:
            if reason is not None:
                self._runs.record_resumption(year, started_by, reason, now)
            self._resume(run)
        self.plan(year, has_time)
        if early and started_by == SCHEDULE:
            text = RESET_WAS_EARLY if run.complete and not run.failed else RESET_WAS_EARLY_OPEN
            self._announce_early(run, f"Yearly reset {year}: already begun early", text)
        return self._get(year)

    def _announce_early(self, run: Run, subject: str, text: str) -> None:
        log.error(
            "the yearly reset was begun before its year",
            extra={"alarm": "reset-early", "year": run.year, "started_by": run.started_by},
        )
        by, time = run.started_by, beijing_time(run.started_at)
        self._topic.notify(subject, fill(text, year=run.year, time=time, by=by))

    def _resume(self, run: Run) -> None:
        for chunk in self._runs.chunks(run.year):
            if chunk.finished and any(note.outcome == "failed" for note in chunk.notes):
                self._runs.reopen(run, chunk)
            elif chunk.finished:
                continue
            self._queue.send([_message(run.year, chunk.part)])

    def plan(self, year: int, has_time: Callable[[], bool] = _always) -> None:
        """Put every finance login that is in no chunk yet into one. Raises like `start`."""
        run = self._get(year)
        while not run.planned:
            if not has_time():
                self._queue.send([{"year": year}])
                return
            logins, last = self._runs.finance_logins(run.cursor, _CHUNKS_PER_WRITE * CHUNK)
            names = [login.login for login in logins]
            chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
            try:
                parts = self._runs.add_chunks(run, chunks, last=last)
            except ConditionFailed:
                # Another process is planning as well; continue from its progress.
                parts = []
            self._queue.send([_message(year, part) for part in parts])
            run = self._get(year)
        self._notify_if_ended(year)

    def process(
        self, message: Message, *, last: bool = False, has_time: Callable[[], bool] = _always
    ) -> None:
        """Process a message of the queue; `last` on its last delivery.

        Raises Unfinished or Unavailable where it must be delivered again.
        """
        year, part = int(message["year"]), message.get("chunk")
        if message.get("event") == _EARLY:
            run = self._get(year)
            self._announce_early(run, f"Yearly reset {year}: begun early", RESET_BEGUN_EARLY)
            return
        if part is None:
            self.plan(year, has_time)
            return
        chunk = self._runs.chunk(year, part)
        if chunk is not None and not chunk.finished:
            self._work(self._get(year), chunk, last=last, has_time=has_time)
        self._notify_if_ended(year)

    def _work(self, run: Run, chunk: Chunk, *, last: bool, has_time: Callable[[], bool]) -> None:
        logins = self._runs.logins(chunk.logins)
        notes: list[Note] = []
        remaining: list[FinanceLogin] = []
        for name in chunk.logins:
            login = logins.get(name)
            if (reason := self._skip_reason(run, login)) is not None:
                notes.append(Note(name, "skipped", reason))
            elif login is not None and login.reset_year != run.year:
                remaining.append(login)
        notes += self._reset(run, remaining, has_time)
        failed = sum(note.outcome == "failed" for note in notes)
        if failed and not last:
            raise Unfinished
        self._runs.finish(run, chunk, notes)
        skipped = len(notes) - failed
        self._count("ResetProgress", len(chunk.logins) - len(notes), outcome="done")
        self._count("ResetProgress", skipped, outcome="skipped")
        self._count("ResetProgress", failed, outcome="failed")
        log.info("chunk finished", extra={"logins": len(chunk.logins), "failed": failed})

    def _reset(
        self, run: Run, logins: Sequence[FinanceLogin], has_time: Callable[[], bool]
    ) -> list[Note]:
        """Set the passwords of the logins and return a note for each one not set.

        Raises Unfinished once `has_time` returns False.
        """
        if not logins:
            return []
        # Otherwise all threads would hash at once and then wait for DynamoDB at once.
        with self._hashing:
            hashes = {login.login: self._hasher.hash(self._password(login)) for login in logins}
        now = self._clock()
        if self._runs.reset_together(run, hashes, now):
            return []
        notes = []
        for name, password_hash in hashes.items():
            if not has_time():
                # With a store that fails slowly, a chunk takes longer than the function has. After its
                # time-out all messages of the batch would be delivered again, the finished ones too.
                raise Unfinished
            try:
                outcome = self._runs.reset(run, name, password_hash, now)
            except Exception as error:
                # One failure must not keep the other logins of the chunk from their reset.
                log.warning("a login was not reset: %s", type(error).__name__)
                notes.append(Note(name, "failed", _reason(error)))
            else:
                if outcome != "done":
                    notes.append(Note(name, "skipped", outcome))
        return notes

    def _skip_reason(self, run: Run, login: FinanceLogin | None) -> str | None:
        """Return why a login keeps its password, judged before anything is written."""
        if login is None:
            return "gone"
        if login.reset_year is not None and login.reset_year >= run.year:
            return None if login.reset_year == run.year else "later-year"
        if login.changed_at >= run.started_at:
            return "changed"
        if not login.province:
            return "no-province"
        if not login.head_id_last4:
            return "no-id-digits"
        return None if self._password(login) else "unknown-province"

    def _password(self, login: FinanceLogin) -> str:
        return default_password(login.province, login.head_id_last4, self._area_codes) or ""

    def forecast(self, year: int) -> Forecast:
        """Return what a run started now would do; writes nothing. Raises Unavailable."""
        now = self._clock()
        run = self._runs.get(year) or _empty_run(year, now)
        counts: Counter[str] = Counter()
        for login in self._all():
            already = login.reset_year == year
            reason = self._skip_reason(run, login)
            counts["already" if already else reason or "done"] += 1
        return Forecast(counts.total(), dict(counts))

    def _all(self) -> Iterator[FinanceLogin]:
        cursor, last = None, False
        while not last:
            logins, last = self._runs.finance_logins(cursor, _CHUNKS_PER_WRITE * CHUNK)
            yield from logins
            cursor = logins[-1].login if logins else cursor

    def status(self, year: int) -> Run | None:
        """Return the year's run, or None where there is none. Raises Unavailable."""
        return self._runs.get(year)

    def notes(self, year: int) -> Iterator[Note]:
        """Yield the logins whose password was not set, with the reason. Raises Unavailable."""
        for chunk in self._runs.chunks(year):
            yield from chunk.notes

    def dead(self, year: int) -> DeadLetters:
        """Return the year's dead letters and the unreadable ones. Raises Unavailable."""
        ours, unreadable = [], []
        for letter in self._queue.dead():
            message = letter.message
            if message is None or not _is_reset_message(message):
                unreadable.append(letter.message_id)
            elif message["year"] == year:
                ours.append(str(message.get("chunk") or message.get("event") or "plan"))
        return DeadLetters(tuple(sorted(ours)), tuple(sorted(unreadable)))

    def redrive(self) -> int:
        """Move the dead letters back into the queue and return their number. Raises Unavailable.

        Unreadable ones stay where they are.
        """
        return self._queue.redrive(_is_reset_message)

    def _get(self, year: int) -> Run:
        run = self._runs.get(year)
        if run is None:
            # A message of a run that was deleted by hand.
            raise Unavailable("store")
        return run

    def _notify_if_ended(self, year: int) -> None:
        run = self._get(year)
        if not run.complete or run.told_at is not None:
            return
        now = self._clock()
        if not self._runs.claim_notification(run, now):
            return
        text = fill(
            RESET_ENDED,
            year=year,
            logins=run.logins,
            done=run.done,
            skipped=run.skipped,
            failed=run.failed,
        )
        try:
            self._topic.notify(f"Yearly reset {year}: {run.failed} failed", text)
        except Unavailable:
            self._runs.settle_notification(run, now, told=False)
            raise
        self._runs.settle_notification(run, now, told=True)
        log.info("yearly reset ended", extra={"year": year, "done": run.done, "failed": run.failed})


def _is_reset_message(message: Message) -> bool:
    """Return whether a message has the form of those that this module sends."""
    if type(message.get("year")) is not int or not {"year", "chunk", "event"} >= set(message):
        return False
    return isinstance(message.get("chunk", ""), str) and message.get("event", _EARLY) == _EARLY


def _message(year: int, part: str) -> Message:
    return {"year": year, "chunk": part}


def _reason(error: Exception) -> str:
    return error.code if isinstance(error, ServiceError) else type(error).__name__


def _empty_run(year: int, now: int) -> Run:
    return Run(year, now, "", None, False, 0, 0, 0, 0, 0, 0, None, None)
