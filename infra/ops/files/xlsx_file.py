"""Read XLSX as a stream; only the shared strings of the workbook are held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from chalicelib.domain.catalogue import DIRECTORY_FILES

from .lines import DirectoryError, Line

# Excel stores 15 significant digits and replaces the rest with zeros.
_EXACT = 10**15


def lines(path: Path) -> Iterator[Line]:
    """Yield the rows of the first sheet, the header included. Raises DirectoryError, OSError."""
    with path.open("rb") as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except Exception:
            # openpyxl documents no list of what it raises for damaged files.
            raise DirectoryError(DIRECTORY_FILES["xlsx"]) from None
        with closing(book):
            if not book.worksheets:
                raise DirectoryError(DIRECTORY_FILES["no-sheet"])
            sheet = book.worksheets[0]
            # The dimensions stated in a sheet often cover formatted cells without content.
            sheet.reset_dimensions()
            for number, cells in enumerate(_guarded(sheet.iter_rows()), 1):
                yield _line(number, cells)


def _guarded(cells: Iterable[Any]) -> Iterator[Any]:
    iterator = iter(cells)
    while True:
        try:
            row = next(iterator, None)
        except Exception:
            raise DirectoryError(DIRECTORY_FILES["xlsx"]) from None
        if row is None:
            return
        yield row


def _line(number: int, cells: Iterable[Any]) -> Line:
    texts: list[str] = []
    wrong: dict[int, str] = {}
    numbers: set[int] = set()
    for index, cell in enumerate(cells):
        text, fault = _read(cell.value, cell.data_type)
        texts.append(text)
        if fault:
            wrong[index] = fault
        if cell.data_type == "n" and text:
            numbers.add(index)
    return Line(number, tuple(texts), wrong, frozenset(numbers))


def _read(value: Any, kind: str) -> tuple[str, str | None]:
    """Return the cell's text, and the key of its fault or None."""
    if value is None:
        return "", None
    if isinstance(value, str) and kind != "e":
        return value, None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "", "not-text"
    if abs(value) >= _EXACT:
        return "", "digits-lost"
    whole = int(value)
    return (str(whole) if whole == value else str(value)), None
