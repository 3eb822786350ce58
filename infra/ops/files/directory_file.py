"""Read a directory file row by row: CSV in UTF-8 or GB18030, or XLSX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_FILES, DIRECTORY_NOTES, fill
from infra.ops.enrolment.directory_row import COLUMN_NAMES, Row, column_name, header_faults
from infra.ops.enrolment.trimming import trimmed

from . import csv_file, xlsx_file
from .lines import DirectoryError, Line

__all__ = ["DirectoryError", "check", "rows"]

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"
# The name of the stream in an OLE file that has an XLSX file with a password.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MAXIMUM_MEBIBYTES = 64


def check(path: Path, sheet: str | None = None, *, partial: bool = False) -> int:
    """Read the file to its end and return the number of rows below the header.

    Called before loading, so that an unreadable file loads nothing. Raises DirectoryError, OSError.
    """
    return sum(1 for _ in rows(path, sheet, partial=partial))


def rows(path: Path, sheet: str | None = None, *, partial: bool = False) -> Iterator[Row]:
    """Yield the rows below the header; blank rows are omitted but counted in the row numbers.

    The format is recognised by the first bytes, not by the name. `sheet` is the sheet of an XLSX file
    to read. With `partial`, all columns but firm_no may be missing. Raises DirectoryError, OSError.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if path.stat().st_size > _MAXIMUM_MEBIBYTES << 20:
        limit = f"{_MAXIMUM_MEBIBYTES} MiB"
        raise DirectoryError(fill(DIRECTORY_FILES["too-large"], limit=limit))
    if start.startswith(_ZIP):
        yield from _rows(xlsx_file.lines(path, sheet), exact=False, partial=partial)
    elif start.startswith(_OLE):
        encrypted = _ENCRYPTED in path.read_bytes()
        raise DirectoryError(DIRECTORY_FILES["encrypted" if encrypted else "old-excel"])
    elif start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise DirectoryError(DIRECTORY_FILES["web-page"])
    elif sheet is not None:
        raise DirectoryError(DIRECTORY_FILES["sheet-csv"])
    else:
        yield from _rows(csv_file.lines(path), exact=True, partial=partial)


def _rows(lines: Iterable[Line], *, exact: bool, partial: bool) -> Iterator[Row]:
    """Yield rows; with `exact`, a row with fewer cells than the header is a fault.

    A sheet omits the empty cells at the end of a row.
    """
    header: list[str] = []
    file_notes: tuple[str, ...] = ()
    for line in lines:
        file_notes += line.notes
        if line.is_blank():
            continue
        if not header:
            header = _header(line, partial=partial)
            continue
        yield _row(line, header, file_notes, exact=exact)
        file_notes = ()
    if not header:
        raise DirectoryError(DIRECTORY_FILES["empty"])


def _header(line: Line, *, partial: bool) -> list[str]:
    """Return the columns of the header row."""
    header = [column_name(cell) for cell in line.cells]
    while header and not header[-1]:
        header.pop()
    if not set(header) & set(COLUMN_NAMES):
        raise DirectoryError(fill(DIRECTORY_FILES["no-header"], line=line.number))
    faults = header_faults(header, partial=partial)
    if faults:
        raise DirectoryError(fill(DIRECTORY_FILES["header"], faults="；".join(faults)))
    return header


def _row(line: Line, header: list[str], file_notes: tuple[str, ...], *, exact: bool) -> Row:
    if line.broken:
        return Row(line.number, {}, (DIRECTORY_FAULTS["quotes"],), file_notes)
    cells = list(line.cells)
    extra = any(trimmed(cell) for cell in cells[len(header) :])
    if extra or (exact and len(cells) < len(header)):
        # Cells cannot be assigned to columns; the firm's number is a guess for the report.
        where = header.index("firm_no")
        known = {"firm_no": cells[where]} if where < len(cells) else {}
        return Row(line.number, known, (DIRECTORY_FAULTS["columns-count"],), file_notes)
    cells += [""] * (len(header) - len(cells))
    values: dict[str, str] = {}
    faults: list[str] = []
    notes = list(file_notes)
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
