"""Enrol firms from the rows of a directory file; a row is loaded completely or not at all."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_NOTES, fill
from chalicelib.domain.firms import FirmFacts
from chalicelib.domain.logins import fold
from chalicelib.domain.passwords import default_password
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.services.notifications import beijing_time
from chalicelib.store.search import SearchIndex

from .directory_row import Entry, Row, read_row
from .firms import LOOKED_UP, ConditionFailed, Directory, Known, KnownLogin, LoginChange

Rebind = Callable[[str, str], object]
"""Replace the bound phone of a login; called with the login and the new phone in E.164."""

Redacting = Callable[[Iterable[str]], AbstractContextManager[None]]
"""Context in which log lines hide the given texts."""

# Attempts at one row: after a concurrent write the tables are read again, and what it wrote stays.
_TRIES = 3


@dataclass(frozen=True)
class Result:
    """Outcome of one row: `loaded`, `unchanged` or `refused`, with reasons or notes in Chinese."""

    row: int
    firm_no: str
    outcome: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hashes: int = 0
    """Number of passwords hashed for the row."""
    scheme: str | None = None
    """Scheme of the hash that was stored as the opening password; None where none was."""


@dataclass
class Report:
    """Totals of a load. Of rows without reasons and notes the firm's number alone is kept."""

    loaded: int = 0
    unchanged: int = 0
    refused: list[Result] = field(default_factory=list)
    with_notes: list[Result] = field(default_factory=list)
    schemes: Counter[str] = field(default_factory=Counter)
    """Number of hashes of previous systems stored, by scheme."""
    firm_nos: set[str] = field(default_factory=set)
    """The numbers of all rows, also of refused ones."""
    hashes: int = 0
    seconds: float = 0.0
    """Wall-clock time of the load."""

    def add(self, result: Result) -> None:
        """Add the result of one row."""
        self.hashes += result.hashes
        self.firm_nos.add(result.firm_no)
        if result.scheme is not None:
            self.schemes[result.scheme] += 1
        if result.outcome == "refused":
            self.refused.append(result)
            return
        if result.outcome == "loaded":
            self.loaded += 1
        else:
            self.unchanged += 1
        if result.notes:
            self.with_notes.append(result)

    @property
    def hashes_per_second(self) -> float:
        """Return passwords hashed per second of the whole load; 0.0 where nothing was hashed."""
        return self.hashes / self.seconds if self.seconds else 0.0


class Enrolment:
    """Load rows. Password hashing dominates the time and runs on every core."""

    def __init__(
        self,
        *,
        directory: Directory,
        hasher: PasswordHasher,
        area_codes: Mapping[str, str],
        clock: Callable[[], int],
        rebind: Rebind | None = None,
        redacting: Redacting = lambda _: nullcontext(),
        workers: int | None = None,
        index: SearchIndex | None = None,
    ) -> None:
        """Set up loading; `area_codes` are the overrides of the built-in table.

        `index` makes the firms searchable at the support desk; None leaves it as it is.

        Where `rebind` is given, it is called for each login whose bound phone differs from the
        file's; otherwise the bound phone stays and a note says so. `workers` is the number of
        threads: argon2 releases the interpreter lock, and one thread more than there are cores keeps
        the cores busy while others wait for DynamoDB.
        """
        self._directory = directory
        self._hasher = hasher
        self._area_codes = area_codes
        self._clock = clock
        self._rebind = rebind
        self._redacting = redacting
        self._index = index
        self._workers = workers or (os.cpu_count() or 1) + 1

    def load(self, rows: Iterable[Row], *, actor: str, reason: str) -> Iterator[Result]:
        """Load rows lazily; yield results in the rows' order, a bounded number of rows behind.

        Raises Unavailable where the store stops answering: rows with results are loaded, later ones
        may be, and loading the file again completes it.
        """
        first_rows: dict[str, int] = {}
        pending: deque[Future[Result]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="enrolment")
        try:
            for batch in _batches(rows):
                checked = [(row, _check(row, first_rows)) for row in batch]
                firm_nos = [entry.facts.firm_no for _, entry in checked if isinstance(entry, Entry)]
                known = self._directory.known(firm_nos) if firm_nos else {}
                for row, entry in checked:
                    if isinstance(entry, Entry):
                        known_firm = known[entry.facts.firm_no]
                        pending.append(
                            pool.submit(self._enrol_redacted, row, entry, known_firm, actor, reason)
                        )
                    else:
                        pending.append(_ready(_refused(row, entry)))
                # The pool works on one batch while the next one is read and looked up.
                while len(pending) > LOOKED_UP:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _enrol_redacted(
        self, row: Row, entry: Entry, known: Known, actor: str, reason: str
    ) -> Result:
        secrets = (entry.facts.head_name, entry.opening_password, entry.facts.head_id_last4)
        with self._redacting(secret for secret in secrets if secret):
            return self._enrol(row, entry, known, actor, reason)

    def _enrol(self, row: Row, entry: Entry, known: Known, actor: str, reason: str) -> Result:
        facts, hashes = entry.facts, 0
        for _ in range(_TRIES):
            if known.closed is not None:
                # Reopening a firm is a decision of its own; an old file must not make it.
                return _refused(row, [closed_fault(facts.firm_no, known.closed)])
            opening = None if _has_password(known.main) else entry.opening_password
            default = None
            if not _has_password(known.finance):
                default = default_password(facts.province, facts.head_id_last4, self._area_codes)
            changes = [
                LoginChange(
                    facts.firm_no,
                    created=known.main is None,
                    phone=None if _phone(known.main) else entry.phone,
                    password_hash=opening if entry.scheme else self._hashed(opening),
                    must_change=False,
                ),
                LoginChange(
                    f"{facts.firm_no}_cw",
                    created=known.finance is None,
                    phone=None if _phone(known.finance) else entry.finance_phone,
                    password_hash=self._hashed(default),
                    must_change=True,
                ),
            ]
            hashes += (opening is not None and entry.scheme is None) + (default is not None)
            # A changed fact is audited at both logins: it concerns the recoveries of both.
            facts_changed = known.facts != facts
            pairs = zip(changes, (known.main, known.finance), strict=True)
            needed = [
                change
                for change, login in pairs
                if facts_changed or _is_needed(facts, change, login)
            ]
            if not needed:
                return self._settled(row, entry, known, "unchanged", hashes)
            if self._index is not None:
                # First, so that no firm is in the tables and cannot be found.
                phones = [(change.login, change.phone) for change in needed if change.phone]
                self._index.add(facts, phones)
            try:
                self._directory.write(facts, needed, actor=actor, reason=reason, now=self._clock())
            except ConditionFailed:
                known = self._directory.known([facts.firm_no])[facts.firm_no]
                continue
            if self._index is not None and known.facts is not None:
                self._index.remove(known.facts, facts)
            scheme = entry.scheme if opening is not None else None
            return self._settled(row, entry, known, "loaded", hashes, scheme)
        return _refused(row, [DIRECTORY_FAULTS["store"]])

    def _settled(
        self,
        row: Row,
        entry: Entry,
        known: Known,
        outcome: str,
        hashes: int,
        scheme: str | None = None,
    ) -> Result:
        firm_no, notes = entry.facts.firm_no, [*row.notes, *entry.notes]
        for login, phone, known_login in (
            (firm_no, entry.phone, known.main),
            (f"{firm_no}_cw", entry.finance_phone, known.finance),
        ):
            if phone is None or _phone(known_login) in (None, phone):
                continue
            if self._rebind is None:
                notes.append(fill(DIRECTORY_NOTES["phone-kept"], login=login))
            else:
                self._rebind(login, phone)
                outcome = "loaded"
                notes.append(fill(DIRECTORY_NOTES["phone-changed"], login=login))
        if entry.opening_password is None and not _has_password(known.main):
            notes.append(DIRECTORY_NOTES["no-password"])
        if scheme is not None:
            notes.append(fill(DIRECTORY_NOTES["password-hash"], scheme=scheme))
        return Result(
            row.number, firm_no, outcome, notes=tuple(notes), hashes=hashes, scheme=scheme
        )

    def _hashed(self, password: str | None) -> str | None:
        return None if password is None else self._hasher.hash(password)


def closed_fault(firm_no: str, closed: tuple[int, int]) -> str:
    """Return the fault of a row whose firm is closed; `closed` as in `Known`."""
    at, erased_at = map(beijing_time, closed)
    return fill(DIRECTORY_FAULTS["firm-closed"], firm_no=firm_no, closed=at, erased=erased_at)


def _has_password(login: KnownLogin | None) -> bool:
    return login is not None and login.has_password


def _phone(login: KnownLogin | None) -> str | None:
    return None if login is None else login.phone


def _is_needed(facts: FirmFacts, change: LoginChange, known: KnownLogin | None) -> bool:
    return (
        known is None
        or change.phone is not None
        or change.password_hash is not None
        or (known.province, known.head_id_last4) != (facts.province, facts.head_id_last4)
    )


def _check(row: Row, first_rows: dict[str, int]) -> Entry | list[str]:
    entry = read_row(row.values, row.faults)
    if isinstance(entry, Entry):
        first = first_rows.setdefault(entry.facts.firm_no, row.number)
        if first != row.number:
            return [fill(DIRECTORY_FAULTS["duplicate"], column="firm_no", row=first)]
    return entry


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, LOOKED_UP)):
        yield batch


def _refused(row: Row, reasons: list[str]) -> Result:
    # The number as written in the file, without control characters that a terminal would execute.
    firm_no = fold(row.values.get("firm_no", ""))[:20]
    return Result(row.number, firm_no, "refused", tuple(reasons))


def _ready(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future
