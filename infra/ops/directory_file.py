"""Reading a directory file row by row: CSV in UTF-8 or GB18030, or XLSX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_FILES, DIRECTORY_NOTES, fill
from chalicelib.domain.directory import header_faults
from chalicelib.stories.enrolment import Row

from . import csv_file, xlsx_file
from .lines import DirectoryError, Line

__all__ = ["DirectoryError", "check", "rows"]

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"


def check(path: Path) -> int:
    """Read the file to its end without keeping any of it; how many rows it has below the header.

    So a file that cannot be read loads nothing. Raises DirectoryError, OSError.
    """
    return sum(1 for _ in rows(path))


def rows(path: Path) -> Iterator[Row]:
    """The file's rows below the header; blank ones are left out, and counted in the numbers.

    What a file is, its first bytes say, not its name. Raises DirectoryError, OSError.
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
    """`exact` refuses a row with fewer cells than the header; a sheet has no cells at its end."""
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
            # Which cell belongs to which column is anybody's guess, but for the firm's number.
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
            # As a number it can have lost nothing but leading zeros.
            values[column] = cells[index].zfill(4)
        if index in line.numbers and column == "opening_password":
            notes.append(DIRECTORY_NOTES["password-number"])
    return Row(line.number, values, tuple(faults), tuple(notes))
