"""The workbook of an XLSX file: its sheets, its strings, and which cell formats are dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.domain.catalogue import DIRECTORY_FILES, fill
from infra.ops.enrolment.lost_text import unescape

from .lines import DirectoryError
from .xlsx_package import Event, Package, last_match

# Number formats that are dates or times without a code in the file: ECMA-376, part 1, 18.8.30, with
# those of Chinese, Japanese and Korean versions of Excel.
_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
# Letters of a date in a format's code, without quoted text, escapes, colours and conditions.
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_DATE_LETTERS = re.compile(r"[ymdhs年月日时分秒]", re.IGNORECASE)

# The start of an element that has a cell's content. Rows after the last one are empty.
_CONTENT = re.compile(rb"<(?:[A-Za-z0-9]{1,20}:)?(?:v|t|f|is)[\s/>]")
_END = re.compile(rb"worksheet\s*>\s*$")
_LONGEST_TAG = 32


@dataclass(frozen=True)
class Sheet:
    """A sheet with cells, in the workbook's order."""

    name: str
    path: str
    visible: bool


class Workbook:
    """A workbook. To be used within `xlsx_package.damage_refused`."""

    def __init__(self, package: Package) -> None:
        """Read the list of sheets, the strings and the formats."""
        self._package = package
        path = _target(package.relationships("").values(), "officeDocument") or "xl/workbook.xml"
        parts = package.relationships(path)
        self.sheets = [
            Sheet(
                attributes["name"],
                parts[attributes["id"]].target,
                attributes.get("state", "visible") == "visible",
            )
            for kind, name, attributes in package.events(path)
            if kind == "start"
            and name == "sheet"
            # A chart may be a sheet too.
            and parts[attributes["id"]].kind == "worksheet"
        ]
        strings = _target(parts.values(), "sharedStrings")
        styles = _target(parts.values(), "styles")
        self._strings = list(_strings(package.strings(strings))) if strings else []
        self._dates = _date_formats(package.events(styles)) if styles else frozenset()

    def string(self, index: int) -> str:
        """Return a shared string. Raises IndexError."""
        if index < 0:
            raise IndexError(index)
        return self._strings[index]

    def is_date(self, style: int) -> bool:
        """Return whether cells of a format show their number as a date or a time."""
        return style in self._dates

    def content_end(self, sheet: Sheet) -> int:
        """Return the position in the sheet's XML after the last cell with content, or 0.

        Raises DirectoryError where the XML is cut off.
        """
        end, tail = last_match(self._package.chunks(sheet.path), _CONTENT, _LONGEST_TAG)
        if _END.search(tail) is None:
            raise DirectoryError(DIRECTORY_FILES["xlsx"])
        return end

    def chunks(self, sheet: Sheet) -> Iterator[bytes]:
        """Yield the bytes of a sheet's XML."""
        yield from self._package.chunks(sheet.path)

    def select(self, name: str | None) -> Sheet:
        """Return the sheet of a name, or the first visible one.

        Without a name, every other visible sheet must be empty, since its firms would be missed.
        """
        names = "、".join(sheet.name for sheet in self.sheets)
        if name is not None:
            for sheet in self.sheets:
                if sheet.name == name:
                    return sheet
            raise DirectoryError(fill(DIRECTORY_FILES["sheet-unknown"], names=names))
        visible = [sheet for sheet in self.sheets if sheet.visible]
        if not visible:
            raise DirectoryError(DIRECTORY_FILES["no-sheet"])
        first, *others = visible
        filled = [sheet.name for sheet in others if self.content_end(sheet)]
        if filled:
            text = DIRECTORY_FILES["sheets-filled"]
            raise DirectoryError(fill(text, first=first.name, names="、".join(filled)))
        return first

    def hidden(self, selected: Sheet) -> list[str]:
        """Return the names of the hidden sheets with content, the selected one left out."""
        return [
            sheet.name
            for sheet in self.sheets
            if not sheet.visible and sheet != selected and self.content_end(sheet)
        ]


def _target(relationships: Iterable[tuple[str, str]], kind: str) -> str | None:
    return next((target for known, target in relationships if known == kind), None)


def _strings(events: Iterable[Event]) -> Iterator[str]:
    """Yield the shared strings in order; a formatted one consists of several texts."""
    parts: list[str] = []
    collecting = phonetic = False
    for kind, name, _ in events:
        if kind == "text":
            if collecting:
                parts.append(name)
        elif name == "rPh":
            phonetic = kind == "start"
        elif name == "t":
            collecting = kind == "start" and not phonetic
        elif name == "si" and kind == "end":
            yield unescape("".join(parts))
            parts.clear()


def _date_formats(events: Iterable[Event]) -> frozenset[int]:
    """Return the indexes of the cell formats that show a date or a time."""
    codes: dict[int, str] = {}
    formats: list[int] = []
    within = False
    for kind, name, attributes in events:
        if name == "cellXfs":
            within = kind == "start"
        elif kind == "start" and name == "numFmt":
            codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif kind == "start" and name == "xf" and within:
            formats.append(int(attributes.get("numFmtId", "0")))
    return frozenset(
        index
        for index, number in enumerate(formats)
        if (_has_date(codes[number]) if number in codes else number in _DATES)
    )


def _has_date(code: str) -> bool:
    return _DATE_LETTERS.search(_LITERALS.sub("", code.replace("General", ""))) is not None
