"""Merged cells of a sheet: only the first one of a merge has a value, the others are covered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chalicelib.domain.catalogue import DIRECTORY_FILES

from .lines import DirectoryError

# The merges stand after the rows, so they are searched before the sheet is parsed.
_MERGE = re.compile(
    rb"<(?:[A-Za-z0-9]{1,20}:)?mergeCell\s[^<>]{0,200}?ref\s*=\s*[\"']"
    rb"([A-Za-z]{1,3})([0-9]{1,7}):([A-Za-z]{1,3})([0-9]{1,7})[\"']"
)
_LONGEST = 300
_MAXIMUM = 50_000
_COLUMNS = 64


class Merges:
    """The merges of a sheet; each row is looked up once, from the first one to the last."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read the merges from the sheet's XML. Raises DirectoryError where there are too many."""
        self._waiting = sorted(_read(chunks), reverse=True)
        self._until = [0] * _COLUMNS

    def covered(self, row: int) -> set[int]:
        """Return the covered columns of a row. Rows must be given in ascending order."""
        firsts = set()
        while self._waiting and self._waiting[-1][0] <= row:
            top, left, bottom, right = self._waiting.pop()
            for column in range(left, min(right + 1, _COLUMNS)):
                self._until[column] = max(self._until[column], bottom)
            if top == row:
                firsts.add(left)
        return {column for column, last in enumerate(self._until) if last >= row} - firsts


def _read(chunks: Iterator[bytes]) -> set[tuple[int, int, int, int]]:
    """Return first row, first column, last row and last column of each merge."""
    merges: set[tuple[int, int, int, int]] = set()
    tail = b""
    for chunk in chunks:
        window = tail + chunk
        for match in _MERGE.finditer(window):
            merges.add((int(match[2]), _index(match[1]), int(match[4]), _index(match[3])))
        if len(merges) > _MAXIMUM:
            raise DirectoryError(DIRECTORY_FILES["merges"])
        tail = window[-_LONGEST:]
    return merges


def _index(letters: bytes) -> int:
    index = 0
    for letter in letters.upper():
        index = 26 * index + letter - ord("A") + 1
    return index - 1
