"""Read a sheet of an XLSX file as a stream; only the workbook's shared strings are in memory.

openpyxl is not used: as a stream it shows neither merged cells nor whether an empty cell has a
formula, refuses files over details of their styles and the strict form of the format, reads all
strings whatever their size, and writes the values of odd cells to stderr in its warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from chalicelib.domain.catalogue import DIRECTORY_FILES, DIRECTORY_NOTES, fill
from infra.ops.enrolment.lost_text import unescape

from .lines import DirectoryError, Line
from .xlsx_merges import Merges
from .xlsx_package import Package, damage_refused, open_package, parse
from .xlsx_workbook import Sheet, Workbook

# Excel stores 15 significant digits and replaces the rest with zeros.
_EXACT = 10**15
# Excel allows 32,767 characters in a cell.
_MAXIMUM_CELL = 40_000
# Content beyond this column is reported in it, so that a row never has 16,384 cells.
_LAST_COLUMN = 63
_ROW_END = re.compile(rb"</((?:[A-Za-z0-9]{1,20}:)?)row>")
_LONGEST_TAG = 32
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?[0-9]{1,7}", re.ASCII)


def lines(path: Path, sheet: str | None = None) -> Iterator[Line]:
    """Yield the rows of a sheet, the header included: the named sheet, or the first visible one.

    Raises DirectoryError, OSError.
    """
    with closing(open_package(path)) as archive, damage_refused():
        book = Workbook(Package(archive))
        selected = book.select(sheet)
        hidden = book.hidden(selected)
        notes = tuple(fill(DIRECTORY_NOTES["sheet-hidden"], sheet=name) for name in hidden)
        for line in _lines(book, selected):
            yield replace(line, notes=notes) if notes else line
            notes = ()


@dataclass
class _Cell:
    """A cell while it is read."""

    column: int
    kind: str
    """Its type: `n` number, `s` shared string, `inlineStr`, `str` a formula's text, `b`, `e`, `d`."""
    style: int
    has_formula: bool = False
    has_value: bool = False
    texts: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, characters: str) -> None:
        """Add characters of the value."""
        self.length += len(characters)
        if self.length > _MAXIMUM_CELL:
            raise DirectoryError(DIRECTORY_FILES["xlsx"])
        self.texts.append(characters)


@dataclass
class _Row:
    """A row while it is read; its cells by column."""

    number: int
    texts: dict[int, str] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)

    def add(self, cell: _Cell, book: Workbook) -> None:
        """Add a cell's text or fault."""
        text, fault = _read(cell, book)
        if fault is not None:
            self.wrong[cell.column] = fault
        elif text:
            self.texts[cell.column] = text
            if cell.kind == "n":
                self.numbers.add(cell.column)

    def line(self, covered: set[int]) -> Line:
        """Return the row with the faults of its covered cells."""
        wrong = {**self.wrong, **dict.fromkeys(covered, "merged")}
        width = max((*self.texts, *wrong), default=-1) + 1
        cells = tuple(self.texts.get(column, "") for column in range(width))
        return Line(self.number, cells, wrong, frozenset(self.numbers))


def _lines(book: Workbook, sheet: Sheet) -> Iterator[Line]:
    merges = Merges(book.chunks(sheet))
    last = 0
    for row in _rows(book, sheet):
        if row.number <= last:
            raise DirectoryError(DIRECTORY_FILES["xlsx"])
        last = row.number
        yield row.line(merges.covered(row.number))


def _rows(book: Workbook, sheet: Sheet) -> Iterator[_Row]:
    """Yield the rows of a sheet. Rows and cells without a reference follow the one before."""
    row, cell, column = _Row(0), None, -1
    collecting = phonetic = False
    for kind, name, attributes in parse(_with_content(book, sheet)):
        if kind == "text":
            if collecting and cell is not None:
                cell.add(name)
        elif name == "row" and kind == "start":
            row, column = _Row(int(attributes.get("r", row.number + 1))), -1
        elif name == "row":
            yield row
        elif name == "c" and kind == "start":
            column = _column(attributes["r"]) if "r" in attributes else column + 1
            style = int(attributes.get("s", "0"))
            cell = _Cell(min(column, _LAST_COLUMN), attributes.get("t", "n"), style)
        elif name == "c" and cell is not None:
            row.add(cell, book)
            cell = None
        elif cell is not None and name == "f":
            cell.has_formula = True
        elif cell is not None and name == "rPh":
            phonetic = kind == "start"
        elif cell is not None and name in ("v", "t"):
            collecting = kind == "start" and not phonetic
            cell.has_value = True


def _with_content(book: Workbook, sheet: Sheet) -> Iterator[bytes]:
    """Yield the sheet's XML without the rows after the last content.

    Whoever formats whole columns makes a million rows without content. The end of the document is
    replaced, so that a parser finds it complete; the rest has been read once by `content_end`.
    """
    end = book.content_end(sheet)
    position = 0
    tail = b""
    for chunk in book.chunks(sheet):
        window = tail + chunk
        begins = position - len(tail)
        position += len(chunk)
        match = _ROW_END.search(window, max(0, end - begins)) if position >= end else None
        if match is not None:
            yield window[: match.end()]
            yield b"</" + match[1] + b"sheetData></" + match[1] + b"worksheet>"
            return
        # The tag may continue in the next chunk.
        yield window[:-_LONGEST_TAG]
        tail = window[-_LONGEST_TAG:]
    yield tail


def _column(reference: str) -> int:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError
    column = 0
    for letter in match[1].upper():
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1


def _read(cell: _Cell, book: Workbook) -> tuple[str, str | None]:
    """Return the cell's text, and the key of its fault or None."""
    text = "".join(cell.texts)
    # Without a stored result the file was written by a program that does not calculate.
    if cell.has_formula and not text and cell.kind != "str":
        return "", "no-result"
    if not text:
        return "", "no-result" if cell.has_formula and not cell.has_value else None
    if cell.kind == "s":
        return book.string(int(text)), None
    if cell.kind in ("str", "inlineStr"):
        return unescape(text), None
    if cell.kind != "n" or book.is_date(cell.style):
        return "", "not-text"
    try:
        number = float(text)
    except ValueError:
        return "", "not-text"
    # A formula that refers to an empty cell has the result 0.
    if cell.has_formula and number == 0:
        return "", "no-result"
    if not abs(number) < _EXACT:
        return "", "digits-lost"
    whole = int(number)
    return (str(whole) if whole == number else str(number)), None
