"""Read a directory file row by row: CSV in UTF-8 or GB18030, or XLSX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_FILES, DIRECTORY_NOTES, fill
from infra.ops.enrolment.directory_row import Row, header_faults

from . import csv_file, xlsx_file
from .lines import DirectoryError, Line

__all__ = ["DirectoryError", "check", "rows"]

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"


def check(path: Path) -> int:
    """Read the file to its end and return the number of rows below the header.

    Called before loading, so that an unreadable file loads nothing. Raises DirectoryError, OSError.
    """
    return sum(1 for _ in rows(path))


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows below the header; blank rows are omitted but counted in the row numbers.

    The format is recognised by the first bytes, not by the name. Raises DirectoryError, OSError.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == _ZIP:
        yield from _rows(xlsx_file.lines(path), exact=False)
    elif magic == _OLE:
        raise DirectoryError(DIRECTORY_FILES["old-excel"])
    else:
        yield from _rows(csv_file.lines(path), exact=True)


def _rows(lines: Iterable[Line], *, exact: bool) -> Iterator[Row]:
    """Yield rows; with `exact`, a row with fewer cells than the header is a fault.

    A sheet omits the empty cells at the end of a row.
    """
    iterator = iter(lines)
    header = _header(next(iterator, None))
    for line in iterator:
        cells = list(line.cells)
        if line.broken:
            yield Row(line.number, {}, (DIRECTORY_FAULTS["quotes"],))
            continue
        if not any(cell.strip() for cell in cells) and not line.wrong:
            continue
        extra = any(cell.strip() for cell in cells[len(header) :])
        if extra or (exact and len(cells) < len(header)):
            # Cells cannot be assigned to columns; the firm's number is a guess for the report.
            where = header.index("firm_no")
            known = {"firm_no": cells[where]} if where < len(cells) else {}
            yield Row(line.number, known, (DIRECTORY_FAULTS["columns-count"],))
            continue
        yield _row(line, header, cells + [""] * (len(header) - len(cells)))


def _header(line: Line | None) -> list[str]:
    header = [cell.strip() for cell in line.cells] if line else []
    while header and not header[-1]:
        header.pop()
    if not header:
        raise DirectoryError(DIRECTORY_FILES["empty"])
    faults = header_faults(header)
    if faults:
        raise DirectoryError(fill(DIRECTORY_FILES["header"], faults="；".join(faults)))
    return header


def _row(line: Line, header: list[str], cells: list[str]) -> Row:
    values: dict[str, str] = {}
    faults: list[str] = []
    notes: list[str] = []
    for index, column in enumerate(header):
        if index in line.wrong:
            faults.append(fill(DIRECTORY_FAULTS[line.wrong[index]], column=column))
            continue
        values[column] = cells[index]
        if index in line.numbers and column == "head_id_last4":
            # A cell stored as a number can have lost leading zeros and nothing else.
            values[column] = cells[index].zfill(4)
        if index in line.numbers and column == "opening_password":
            notes.append(DIRECTORY_NOTES["password-number"])
    return Row(line.number, values, tuple(faults), tuple(notes))
