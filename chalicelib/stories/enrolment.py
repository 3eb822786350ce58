"""An operator enrols firms from a directory file: row by row, each whole or not at all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice

from ..domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_NOTES, fill
from ..domain.directory import Entry, read_row
from ..domain.logins import fold
from ..domain.passwords import default_password
from ..keys.passwords import PasswordHasher
from ..store.enrolment import (
    LOOKED_UP,
    Directory,
    Known,
    KnownLogin,
    LoginChange,
    Refused,
    facts_of,
)

Rebind = Callable[[str, str], object]
"""Takes a login and its new phone in E.164, and has it bound in place of the old one."""

Keeping = Callable[[Iterable[str]], AbstractContextManager[None]]
"""A block in which nothing that is written down has any of these texts."""

# Somebody else may write the same login meanwhile; what they wrote is then read and kept.
_TRIES = 3


@dataclass(frozen=True)
class Row:
    """A row of a file; `number` as a spreadsheet shows it, the header being 1."""

    number: int
    values: Mapping[str, str] = field(repr=False)
    """By column; a column that `faults` speak of may be missing."""
    faults: tuple[str, ...] = ()
    """What reading the file found to be wrong with the row, in Chinese."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What became of a row: `loaded`, `unchanged` or `refused`, with reasons or notes in Chinese."""

    row: int
    firm_no: str
    outcome: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hashes: int = 0
    """Passwords hashed on the way."""


@dataclass
class Report:
    """The sum of a load. Only rows that an operator must read are kept, so it stays small."""

    loaded: int = 0
    unchanged: int = 0
    refused: list[Result] = field(default_factory=list)
    noted: list[Result] = field(default_factory=list)
    hashes: int = 0
    seconds: float = 0.0

    def add(self, result: Result) -> None:
        """Count one row."""
        self.hashes += result.hashes
        if result.outcome == "refused":
            self.refused.append(result)
            return
        if result.outcome == "loaded":
            self.loaded += 1
        else:
            self.unchanged += 1
        if result.notes:
            self.noted.append(result)

    @property
    def hashes_per_second(self) -> float:
        """How fast the whole load went, as far as hashing counts; 0.0 where nothing was hashed."""
        return self.hashes / self.seconds if self.seconds else 0.0


class Enrolment:
    """Loads rows. Hashing takes nearly all the time and runs on every core."""

    def __init__(
        self,
        *,
        directory: Directory,
        hasher: PasswordHasher,
        area_codes: Mapping[str, str],
        clock: Callable[[], int],
        rebind: Rebind | None = None,
        keeping: Keeping = lambda _: nullcontext(),
        workers: int | None = None,
    ) -> None:
        """`area_codes` are the overrides of the built-in table.

        Where `rebind` is given, it is called for each login whose phone differs from the file's;
        else such a phone stays, and a note says so. `workers` are threads; argon2 lets others run
        while it works, and one more than there are cores bridges the waits for DynamoDB.
        """
        self._directory = directory
        self._hasher = hasher
        self._area_codes = area_codes
        self._clock = clock
        self._rebind = rebind
        self._keeping = keeping
        self._workers = workers or (os.cpu_count() or 1) + 1

    def load(self, rows: Iterable[Row], *, actor: str, reason: str) -> Iterator[Result]:
        """Load rows as they come; results come in the rows' order, a bounded number behind.

        Raises Unavailable where the store stops answering: rows whose results have come are
        loaded, later ones may be, and loading the file again completes it.
        """
        seen: dict[str, int] = {}
        pending: deque[Future[Result]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="enrolment")
        try:
            for batch in _batches(rows):
                checked = [(row, _check(row, seen)) for row in batch]
                firm_nos = [entry.firm_no for _, entry in checked if isinstance(entry, Entry)]
                known = self._directory.known(firm_nos) if firm_nos else {}
                for row, entry in checked:
                    if isinstance(entry, Entry):
                        there = known[entry.firm_no]
                        pending.append(pool.submit(self._keep, row, entry, there, actor, reason))
                    else:
                        pending.append(_ready(_refused(row, entry)))
                # One batch stays at work while the next one is read and looked up.
                while len(pending) > LOOKED_UP:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _keep(self, row: Row, entry: Entry, known: Known, actor: str, reason: str) -> Result:
        secrets = (entry.head_name, entry.opening_password, entry.head_id_last4)
        with self._keeping(secret for secret in secrets if secret):
            return self._enrol(row, entry, known, actor, reason)

    def _enrol(self, row: Row, entry: Entry, known: Known, actor: str, reason: str) -> Result:
        hashes = 0
        for _ in range(_TRIES):
            opening = None if _has_password(known.main) else entry.opening_password
            default = None
            if not _has_password(known.finance):
                default = default_password(entry.province, entry.head_id_last4, self._area_codes)
            changes = [
                LoginChange(
                    entry.firm_no,
                    created=known.main is None,
                    phone=None if _phone(known.main) else entry.phone,
                    password_hash=opening if entry.opening_is_hash else self._hashed(opening),
                    must_change=False,
                ),
                LoginChange(
                    f"{entry.firm_no}_cw",
                    created=known.finance is None,
                    phone=None if _phone(known.finance) else entry.finance_phone,
                    password_hash=self._hashed(default),
                    must_change=True,
                ),
            ]
            hashes += (opening is not None and not entry.opening_is_hash) + (default is not None)
            # What changes of the firm is noted at both logins, whose recoveries it concerns.
            moved = known.facts != facts_of(entry)
            pairs = zip(changes, (known.main, known.finance), strict=True)
            needed = [
                change for change, there in pairs if moved or _is_needed(entry, change, there)
            ]
            if not needed:
                return self._settled(row, entry, known, "unchanged", hashes)
            try:
                self._directory.write(entry, needed, actor=actor, reason=reason, now=self._clock())
            except Refused:
                known = self._directory.known([entry.firm_no])[entry.firm_no]
                continue
            return self._settled(row, entry, known, "loaded", hashes)
        return _refused(row, [DIRECTORY_FAULTS["store"]])

    def _settled(self, row: Row, entry: Entry, known: Known, outcome: str, hashes: int) -> Result:
        notes = [*row.notes, *entry.notes]
        for login, phone, there in (
            (entry.firm_no, entry.phone, known.main),
            (f"{entry.firm_no}_cw", entry.finance_phone, known.finance),
        ):
            if phone is None or _phone(there) in (None, phone):
                continue
            if self._rebind is None:
                notes.append(fill(DIRECTORY_NOTES["phone-kept"], login=login))
            else:
                self._rebind(login, phone)
                outcome = "loaded"
                notes.append(fill(DIRECTORY_NOTES["phone-changed"], login=login))
        if entry.opening_password is None and not _has_password(known.main):
            notes.append(DIRECTORY_NOTES["no-password"])
        return Result(row.number, entry.firm_no, outcome, notes=tuple(notes), hashes=hashes)

    def _hashed(self, password: str | None) -> str | None:
        return None if password is None else self._hasher.hash(password)


def _has_password(login: KnownLogin | None) -> bool:
    return login is not None and login.has_password


def _phone(login: KnownLogin | None) -> str | None:
    return None if login is None else login.phone


def _is_needed(entry: Entry, change: LoginChange, known: KnownLogin | None) -> bool:
    return (
        known is None
        or change.phone is not None
        or change.password_hash is not None
        or (known.province, known.head_id_last4) != (entry.province, entry.head_id_last4)
    )


def _check(row: Row, seen: dict[str, int]) -> Entry | list[str]:
    entry = read_row(row.values, row.faults)
    if isinstance(entry, Entry):
        first = seen.setdefault(entry.firm_no, row.number)
        if first != row.number:
            return [fill(DIRECTORY_FAULTS["duplicate"], column="firm_no", row=first)]
    return entry


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, LOOKED_UP)):
        yield batch


def _refused(row: Row, reasons: list[str]) -> Result:
    # Shown as it stands in the file, but for what a terminal would take for a command.
    firm_no = fold(row.values.get("firm_no", ""))[:20]
    return Result(row.number, firm_no, "refused", tuple(reasons))


def _ready(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future
