"""Directory files as other programs write them: encodings, quotes, spreadsheets."""

from __future__ import annotations

import csv
import datetime
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from infra.ops.enrolment.directory_row import COLUMN_NAMES, Entry, Row, read_row
from infra.ops.files.directory_file import DirectoryError, check, rows
from tests.support import xlsx_cases

FIRM = [*xlsx_cases.FIRM]
OTHER = ["32990002", *FIRM[1:]]


def text_of(*lines: Sequence[str], header: Sequence[str] = COLUMN_NAMES) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *lines])
    return out.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firms.csv"


def load(path: Path, content: str | bytes) -> list[Row]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(rows(path))


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DirectoryError) as error:
        check(path)
    return str(error.value)


def entries(read: Sequence[Row]) -> list[Entry | list[str]]:
    return [read_row(row.values, row.faults) for row in read]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_detected(path: Path, encoding: str, newline: str) -> None:
    """UTF-8 with and without a byte-order mark and GB18030 read alike, with any line end."""
    content = text_of(FIRM, OTHER).replace("\r\n", newline).encode(encoding)
    read = load(path, content)
    assert [row.number for row in read] == [2, 3]
    assert read[0].values == dict(zip(COLUMN_NAMES, FIRM, strict=True))
    assert check(path) == 2


def test_the_encoding_is_that_of_the_whole_file(path: Path) -> None:
    """GB18030 is found where the first Chinese character comes after a megabyte."""
    plain = ["11010148", "Example", "11", "2012-84", "Zhen", "0123", "", "", "x"]
    content = text_of(*[plain] * 26_000, FIRM).encode("gb18030")
    assert len(content) > 1 << 20
    assert load(path, content)[-1].values["name"] == FIRM[1]


def test_a_damaged_utf_8_file_is_not_read_as_gb18030(path: Path) -> None:
    """One broken byte names its line; as GB18030 the names would be garbage."""
    content = bytearray(text_of(FIRM, OTHER).encode())
    at = content.rindex("甄".encode())
    content[at] = 0xFF
    assert refusal(path, bytes(content)) == (
        "文件是UTF-8编码，但第3行有损坏的字符，请更正该行，或从原系统重新导出"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "文件是空的"),
        (b"\n\n", "文件是空的"),
        ("firm_no".encode("utf-16"), "UTF-16"),
        ("firm_no,name".encode("utf-16-le"), "UTF-16"),
        (b"firm_no,\xff\xfa\xff\n", "编码应为"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "旧版Excel"),
        (b"PK\x03\x04not a zip at all", "XLSX"),
        ("firm_no;name\n", "缺少列province"),
        (text_of(FIRM, header=[*COLUMN_NAMES, "wechat"]), "不认识的列wechat"),
        (text_of(header=[*COLUMN_NAMES, "phone"]), "列phone重复"),
    ],
)
def test_an_unreadable_file_is_refused_with_a_reason(
    path: Path, content: str | bytes, says: str
) -> None:
    """In Chinese, before any row is loaded."""
    assert says in refusal(path, content)


def test_columns_may_be_in_any_order(path: Path) -> None:
    """Spaces around names and empty names at the header's end are ignored."""
    header = [f" {name} " for name in reversed(COLUMN_NAMES)] + ["", ""]
    (row,) = load(path, text_of([*reversed(FIRM), "", ""], header=header))
    assert row.values == dict(zip(COLUMN_NAMES, FIRM, strict=True))


def test_rows_are_numbered_as_a_spreadsheet_shows_them(path: Path) -> None:
    """Blank lines count, and a cell with a line break is part of one row."""
    broken = [*FIRM]
    broken[1] = "北京示例\n会计师事务所"
    content = text_of(broken) + "\n\n" + ",,,,,,,,\n" + text_of(OTHER).partition("\n")[2]
    assert [row.number for row in load(path, content)] == [2, 6]


@pytest.mark.parametrize("cells", [FIRM[:-1], [*FIRM, "x"]])
def test_a_row_with_too_few_or_too_many_cells_is_refused(path: Path, cells: list[str]) -> None:
    """Its cells may belong to other columns, so only the firm's number is reported."""
    row, after = load(path, text_of(cells, OTHER))
    assert row.faults == ("列数与表头不一致",)
    assert row.values == {"firm_no": "11010148"}
    assert isinstance(read_row(after.values, after.faults), Entry)


def test_empty_cells_beyond_the_header_are_ignored(path: Path) -> None:
    """Some programs pad their rows."""
    (row,) = load(path, text_of([*FIRM, "", " "]))
    assert row.faults == ()


@pytest.mark.parametrize(
    "bad",
    [
        '11010148,"北京"示例,11,x,甄,0123,,,p',
        '11010148,"北京示例,11,x,甄,0123,,,p',
        '"11010148,北京示例,11,x,甄,0123,,,p',
    ],
)
def test_wrong_quotes_affect_only_their_own_row(path: Path, bad: str) -> None:
    """A quote that is never closed does not include the rows below it."""
    good = text_of(*[OTHER] * 30).partition("\n")[2]
    read = load(path, text_of(FIRM) + bad + "\n" + good)
    assert read[1].faults == ("引号不成对或位置有误",)
    assert [row.number for row in read] == list(range(2, 34))
    assert all(isinstance(entry, Entry) for entry in entries(read[:1] + read[2:]))


def test_a_quote_within_a_cell_loses_no_row(path: Path) -> None:
    """An inch sign is text; the rows read ahead because of it are returned."""
    line = ",".join(['示例"所' if cell == FIRM[1] else cell for cell in FIRM])
    read = load(path, text_of() + line + "\n" + text_of(OTHER, OTHER).partition("\n")[2])
    assert [row.values["firm_no"] for row in read] == ["11010148", "32990002", "32990002"]
    assert read[0].values["name"] == '示例"所'


def test_a_huge_cell_affects_only_its_own_row(path: Path) -> None:
    """Two hundred thousand characters in a cell are one bad row."""
    long = [*FIRM]
    long[1] = "长" * 200_000
    read = load(path, text_of(long, OTHER))
    assert read[0].faults
    assert isinstance(read_row(read[1].values), Entry)


def sheet(path: Path, *lines: Sequence[Any], header: Sequence[str] = COLUMN_NAMES) -> Path:
    book = Workbook()
    page = book.active
    assert page is not None
    for line in (header, *lines):
        page.append(list(line))
    book.save(path)
    return path


def test_a_spreadsheet_reads_like_the_csv(tmp_path: Path) -> None:
    """An XLSX file with text cells gives the same rows; the content decides the format."""
    path = sheet(tmp_path / "firms.csv", FIRM, [], OTHER)
    read = list(rows(path))
    assert [row.number for row in read] == [2, 4]
    assert read[0].values == dict(zip(COLUMN_NAMES, FIRM, strict=True))
    assert check(path) == 2


def test_numeric_cells_are_read_as_digits(tmp_path: Path) -> None:
    """Their leading zeros are restored, those of the four ID digits, too."""
    line = [11010148, "示例", 11.0, 84, "甄", 7, 13800001234, 13900002222.0, 12345678]
    (row,) = rows(sheet(tmp_path / "firms.xlsx", line))
    entry = read_row(row.values, row.faults)
    assert isinstance(entry, Entry)
    assert (entry.facts.firm_no, entry.facts.province, entry.facts.head_id_last4) == (
        "11010148",
        "11",
        "0007",
    )
    assert (entry.phone, entry.finance_phone) == ("+8613800001234", "+8613900002222")
    assert (entry.facts.approval_no, entry.opening_password) == ("84", "12345678")
    assert row.notes == ("开户密码在Excel中是数字，开头的0如有已被去掉",)


def test_cells_of_other_types_are_refused_by_name(tmp_path: Path) -> None:
    """A date, a truth value, a formula's error and a number too long for Excel."""
    line = [
        12345678901234567890,
        datetime.datetime(2026, 1, 1),
        True,
        "#N/A",
        "甄",
        "0123",
        "138",
        None,
        "x",
    ]
    (row,) = rows(sheet(tmp_path / "firms.xlsx", line))
    assert read_row(row.values, row.faults) == [
        "firm_no是超过15位的数字，末尾已被Excel丢弃，请把该列设为文本后重填",
        "name应为文本，不能是日期、公式错误或逻辑值",
        "province应为文本，不能是日期、公式错误或逻辑值",
        "approval_no应为文本，不能是日期、公式错误或逻辑值",
        "phone应为11位大陆手机号",
    ]


def test_cells_missing_at_a_row_s_end_are_empty(tmp_path: Path) -> None:
    """Spreadsheets store no empty cells, so a short row is complete."""
    (row,) = rows(sheet(tmp_path / "firms.xlsx", FIRM[:6]))
    entry = read_row(row.values, row.faults)
    assert isinstance(entry, Entry)
    assert entry.opening_password is None


def test_a_sheet_that_claims_a_million_rows_ends_where_its_rows_end(tmp_path: Path) -> None:
    """The declared size of a sheet is ignored."""
    path = sheet(tmp_path / "firms.xlsx", FIRM)
    _rewrite(path, lambda xml: xml.replace(b'ref="A1:I2"', b'ref="A1:I1048576"'))
    assert check(path) == 1


def test_a_truncated_sheet_is_refused_before_loading(tmp_path: Path) -> None:
    """Damage after good rows refuses the whole file."""
    path = sheet(tmp_path / "firms.xlsx", *[FIRM] * 200)
    _rewrite(path, lambda xml: xml[: len(xml) * 3 // 4])
    with pytest.raises(DirectoryError, match="XLSX"):
        check(path)


def _rewrite(path: Path, change: Any) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    assert change(parts[name]) != parts[name]
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
