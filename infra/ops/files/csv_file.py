"""Read CSV in UTF-8 or GB18030, and recover from unbalanced quotes."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from chalicelib.domain.catalogue import DIRECTORY_FILES, fill
from infra.ops.enrolment.directory_row import COLUMN_NAMES, column_name

from .lines import DirectoryError, Line

# From the most to the least common; Excel writes semicolons where the comma separates decimals.
_DELIMITERS = ",;\t"
# Excel reads the delimiter from such a first line.
_SEPARATOR = re.compile(r"sep=.?", re.IGNORECASE)
# As many as a sheet of Excel has.
_MAXIMUM_ROWS = 1_048_576
# The byte-order mark U+FEFF.
_GB18030_MARK = b"\x84\x31\x95\x33"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A cell of more lines than any firm's name has was opened by a stray quote.
_MOST_LINES = 20


def lines(path: Path) -> Iterator[Line]:
    """Yield the file's rows, the header included. Raises DirectoryError, OSError."""
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        delimiter = _delimiter(file)
        file.seek(0)
        for number, cells in enumerate(_records(_without_marks(file), delimiter), 1):
            if number > _MAXIMUM_ROWS:
                raise DirectoryError(fill(DIRECTORY_FILES["too-large"], limit=_MAXIMUM_ROWS))
            if cells is None:
                yield Line(number, (), broken=True)
            elif number == 1 and _SEPARATOR.fullmatch("".join(cells)):
                yield Line(number, ())
            else:
                yield Line(number, tuple(cells))


def _delimiter(lines: Iterable[str]) -> str:
    """Return the delimiter that splits the header row into the most known columns.

    Commas are returned where there is none: the fault of the header then names what is missing.
    """
    for line in islice(_without_marks(lines), _MOST_LINES):
        known = {delimiter: _known_columns(line, delimiter) for delimiter in _DELIMITERS}
        if any(known.values()):
            return max(_DELIMITERS, key=lambda delimiter: known[delimiter])
    return _DELIMITERS[0]


def _known_columns(line: str, delimiter: str) -> int:
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return 0
    return len({column_name(cell) for cell in cells} & set(COLUMN_NAMES))


def _without_marks(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without byte-order marks and zero-width spaces at the start of the file.

    A program that adds a mark to a file with one leaves two. Before a quote they would make the
    quote part of the cell.
    """
    at_start = True
    for line in lines:
        yield line.lstrip("\ufeff\u200b") if at_start else line
        at_start = False


def _records(physical: Iterable[str], delimiter: str) -> Iterator[list[str] | None]:
    """Yield rows; None for a row with unbalanced quotes, after which reading resumes a line later.

    csv.reader alone would read a quote that is never closed as a cell that reaches to the file's end.
    """
    waiting: deque[str] = deque()
    source = iter(physical)

    def following() -> str | None:
        return waiting.popleft() if waiting else next(source, None)

    while (line := following()) is not None:
        block, quotes = [line], line.count('"')
        while quotes % 2 and len(block) < _MOST_LINES and (line := following()) is not None:
            block.append(line)
            quotes += line.count('"')
        reader = csv.reader(block, delimiter=delimiter, strict=True)
        try:
            record: list[str] | None = next(reader, [])
            used = reader.line_num
        except csv.Error:
            record, used = None, 1
        waiting.extendleft(reversed(block[used:]))
        yield record


def _encoding(path: Path) -> str:
    """Return the encoding of the whole file.

    The whole file is read, so that no row is loaded of a file that becomes unreadable later.
    """
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] in _UTF_16 or b"\0" in start:
            raise DirectoryError(DIRECTORY_FILES["utf-16"])
        right = wrong = first = 0
        chinese = True
        # In neither encoding does a character contain the byte of a line feed.
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            text = line.decode("utf-8", "replace")
            bad = 0 if _decodes(line, "utf-8") else text.count("\ufffd")
            right += sum(c > "\x7f" for c in text) - bad
            wrong += bad
            first = first or (number if bad else 0)
            chinese = chinese and _decodes(line, "gb18030")
    if start == _GB18030_MARK and chinese:
        return "gb18030"
    if not wrong:
        return "utf-8-sig"
    # GB18030 would decode a damaged UTF-8 file too, but to wrong characters.
    if right > wrong or start.startswith(b"\xef\xbb\xbf"):
        raise DirectoryError(fill(DIRECTORY_FILES["broken-utf-8"], line=first))
    if not chinese:
        raise DirectoryError(DIRECTORY_FILES["encoding"])
    return "gb18030"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
