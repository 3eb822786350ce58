"""Rows of a file with some of the columns, completed with what is stored of their firms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, fill
from chalicelib.domain.firms import FirmFacts

from .cells import CellError, parse_firm_no
from .directory_row import COLUMN_NAMES, Entry, Row, read_row
from .enrolment import closed_fault
from .firms import LOOKED_UP, Directory, Known


@dataclass(frozen=True)
class Completed:
    """A row with every column, to load like any other."""

    row: Row
    changed: tuple[str, ...]
    """Columns whose value would change; empty where the row has faults."""


def completed(rows: Iterable[Row], directory: Directory, *, rebinds: bool) -> Iterator[Completed]:
    """Complete rows with the stored facts of their firms, in batches.

    A column that the file does not have keeps its value, and a phone or a password whose cell is empty
    is not changed either. `rebinds` is whether phones that are bound change too. A row of an unknown
    firm has a fault. Raises Unavailable.
    """
    iterator = iter(rows)
    while batch := list(islice(iterator, LOOKED_UP)):
        firm_nos = [_firm_no(row) for row in batch]
        valid = sorted({firm_no for firm_no in firm_nos if firm_no is not None})
        known = directory.known(valid) if valid else {}
        for row, firm_no in zip(batch, firm_nos, strict=True):
            stored = known[firm_no] if firm_no is not None else None
            yield _complete(row, stored, rebinds=rebinds)


def _firm_no(row: Row) -> str | None:
    try:
        return parse_firm_no(row.values.get("firm_no", ""))
    except CellError:
        return None


def _complete(row: Row, known: Known | None, *, rebinds: bool) -> Completed:
    if known is None or known.facts is None:
        # With a fault, the columns that the file does not have are not reported as missing.
        fault = fill(DIRECTORY_FAULTS["firm-unknown"], column="firm_no")
        return Completed(replace(row, faults=row.faults or (fault,)), ())
    if known.closed is not None:
        fault = closed_fault(known.facts.firm_no, known.closed)
        return Completed(replace(row, faults=row.faults or (fault,)), ())
    values = {**dict.fromkeys(COLUMN_NAMES, ""), **asdict(known.facts), **row.values}
    entry = read_row(values, row.faults)
    changed: tuple[str, ...] = ()
    if isinstance(entry, Entry):
        changed = _changed(entry, known, known.facts, rebinds=rebinds)
    return Completed(replace(row, values=values), changed)


def _changed(entry: Entry, known: Known, facts: FirmFacts, *, rebinds: bool) -> tuple[str, ...]:
    stored = asdict(facts)
    changed = [name for name, value in asdict(entry.facts).items() if value != stored[name]]
    for column, phone, login in (
        ("phone", entry.phone, known.main),
        ("finance_phone", entry.finance_phone, known.finance),
    ):
        bound = login.phone if login is not None else None
        if phone not in (None, bound) and (bound is None or rebinds):
            changed.append(column)
    if entry.opening_password is not None and (known.main is None or not known.main.has_password):
        changed.append("opening_password")
    return tuple(changed)
