"""Spreadsheets: which sheet is read, cells without a value of their own, and forms of the format."""

from __future__ import annotations

import datetime
import errno
import warnings
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from infra.ops.enrolment.directory_row import COLUMN_NAMES, Entry, Row, read_row
from infra.ops.files import xlsx_package
from infra.ops.files.directory_file import DirectoryError, check, rows
from tests.support import xlsx_cases
from tests.support.xlsx_cases import FIRM, cell, row, sheet, write

OTHER = ("32990002", *FIRM[1:])
EXPECTED = dict(zip(COLUMN_NAMES, FIRM, strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firms.xlsx"


def refusal(path: Path, name: str | None = None) -> str:
    with pytest.raises(DirectoryError) as error:
        check(path, name)
    return str(error.value)


def reasons(read: Row) -> list[str]:
    entry = read_row(read.values, read.faults)
    assert isinstance(entry, list), entry
    return entry


def active(book: Workbook) -> Worksheet:
    page = book.active
    assert isinstance(page, Worksheet)
    return page


def filled(book: Workbook, *firms: tuple[str, ...]) -> Worksheet:
    page = active(book)
    for line in (COLUMN_NAMES, *firms):
        page.append(list(line))
    return page


# Sheets


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_first_sheet_is_not_loaded(path: Path, state: str) -> None:
    """The first visible one is, with a note that names the hidden one."""
    sheets = {"旧名录": sheet(row(), row(OTHER)), "名录": sheet(row(), row(FIRM), row(OTHER))}
    write(path, sheets, states={"旧名录": state})
    first, second = rows(path)
    assert first.values == EXPECTED
    assert first.notes == ("另有隐藏的工作表“旧名录”有内容，没有导入；需要时用 --sheet 指定",)
    assert second.notes == ()


def test_firms_on_a_second_sheet_are_not_missed(path: Path) -> None:
    """The file is refused with the sheets' names until one is selected."""
    sheets = {
        "名录": sheet(row(), row(FIRM)),
        "空白": sheet(),
        "分所": sheet(row(), row(OTHER)),
        "说明": sheet("<row><c><v>1</v></c></row>"),
    }
    write(path, sheets)
    assert "工作表分所、说明也有内容" in refusal(path)
    assert "--sheet" in refusal(path)
    (read,) = rows(path, "分所")
    assert read.values["firm_no"] == "32990002"
    assert "名录、空白、分所、说明" in refusal(path, "分部")
    assert refusal(path, "空白").startswith("文件是空的")


def test_a_hidden_sheet_is_loaded_by_name(path: Path) -> None:
    """The first visible one is then not loaded."""
    sheets = {"甲": sheet(row(), row(OTHER)), "乙": sheet(row(), row(FIRM))}
    write(path, sheets, states={"甲": "hidden"})
    assert [read.values["firm_no"] for read in rows(path, "甲")] == ["32990002"]


def test_a_workbook_without_a_visible_sheet_is_refused(path: Path) -> None:
    """Excel does not write such a file, programs do."""
    write(path, {"甲": sheet(row(), row(FIRM))}, states={"甲": "hidden"})
    assert "没有可见的工作表" in refusal(path)


def test_a_csv_has_no_sheets(tmp_path: Path) -> None:
    """A name is refused, not ignored."""
    plain = tmp_path / "firms.csv"
    plain.write_text(",".join(COLUMN_NAMES) + "\n", "utf-8")
    assert "--sheet" in refusal(plain, "名录")


# Cells


@pytest.mark.parametrize("column", ["firm_no", "head_id_last4", "phone", "opening_password"])
def test_a_formula_without_a_stored_result_is_a_fault(path: Path, column: str) -> None:
    """A program that does not calculate wrote it; as an empty cell it would lose a phone."""
    book = Workbook()
    page = filled(book, FIRM, OTHER)
    page.cell(2, COLUMN_NAMES.index(column) + 1).value = "=Sheet2!A1"
    book.save(path)
    first, second = rows(path)
    assert any(text.startswith(f"{column}是公式") for text in reasons(first))
    assert isinstance(read_row(second.values, second.faults), Entry)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('<c t="str"><f>A1</f><v>13800001234</v></c>', "13800001234"),
        ("<c><f>A1</f><v>13800001234</v></c>", "13800001234"),
        ('<c t="str"><f>A1</f><v></v></c>', ""),
        ("<c/>", ""),
        ('<c t="s"><v></v></c>', ""),
        ("<c><f>A1</f><v>0</v></c>", None),
        ("<c><f>A1</f></c>", None),
        ("<c><f>A1</f><v/></c>", None),
        ('<c t="str"><f>A1</f></c>', None),
        ('<c t="e"><f>A1</f><v>#N/A</v></c>', None),
        ('<c t="b"><v>1</v></c>', None),
        ('<c t="d"><v>2026-01-01</v></c>', None),
        ("<c><v>abc</v></c>", None),
    ],
)
def test_a_cell_has_its_stored_text_or_a_fault(
    path: Path, written: str, stored: str | None
) -> None:
    """The result 0 is that of a reference to an empty cell."""
    write(path, {"名录": sheet(row(), row(FIRM, replaced={"phone": written}))})
    (read,) = rows(path)
    if stored is None:
        assert [text.partition("，")[0][:5] for text in reasons(read)] == ["phone"]
    else:
        assert read.values["phone"] == stored


def test_a_covered_cell_of_a_merge_is_a_fault_of_its_row(path: Path) -> None:
    """Only the first cell of a merge has a value; the others have lost theirs."""
    book = Workbook()
    page = filled(book, FIRM, OTHER, ("32990003", *FIRM[1:]), ("32990004", *FIRM[1:]))
    page.merge_cells("G2:G4")
    page.merge_cells("B5:C5")
    book.save(path)
    first, second, third, fourth = rows(path)
    assert isinstance(read_row(first.values, first.faults), Entry)
    for read, column in ((second, "phone"), (third, "phone"), (fourth, "province")):
        assert [text for text in reasons(read) if "合并单元格" in text] == [
            f"{column}在合并单元格中，没有自己的值；请取消合并，逐行填写"
        ]


def test_a_merged_title_above_the_header_is_named(path: Path) -> None:
    """The first row with a text is the header."""
    book = Workbook()
    page = filled(book, FIRM)
    page.insert_rows(1)
    page["A1"] = "2026年名录"
    page.merge_cells("A1:I1")
    book.save(path)
    assert "第1行不是表头" in refusal(path)


def test_numbers_in_cells_of_dates_stay_off_stderr(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are faults of their row; a library's warning would print the phone and the password."""
    book = Workbook()
    page = filled(book, FIRM, OTHER)
    for column, value in (("G2", 13800001234), ("I2", 87654321), ("F2", datetime.date(2026, 1, 1))):
        page[column] = value
        page[column].number_format = "yyyy-mm-dd"
    page["I3"] = 87654321
    page["I3"].number_format = '0"号"[Red]'
    book.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = rows(path)
    assert [text.partition("应为")[0] for text in reasons(first)] == [
        "head_id_last4",
        "phone",
        "opening_password",
    ]
    assert second.values["opening_password"] == "87654321"
    assert capfd.readouterr() == ("", "")


# Forms of the format

_STYLES = (
    '<styleSheet><fonts><font><sz val="huge"/></font></fonts><fills><fill><unknown/></fill></fills>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf/></cellXfs>'
    "</styleSheet>"
)


def test_the_strict_form_is_read(path: Path) -> None:
    """Excel's “Strict Open XML”: other namespaces, the same elements."""
    office = "http://purl.oclc.org/ooxml/officeDocument/relationships"
    strict = xlsx_cases.STRICT
    content = sheet(row(), row(FIRM), main=strict)
    write(path, {"名录": content}, main=strict, office=office)
    assert [read.values for read in rows(path)] == [EXPECTED]


def test_styles_that_other_programs_write_do_not_matter(path: Path) -> None:
    """Unknown fills and impossible sizes; without any styles it is read as well."""
    content = sheet(row(), row(FIRM, replaced={"firm_no": '<c s="1"><v>11010148</v></c>'}))
    write(path, {"名录": content}, parts={"styles": _STYLES})
    assert [read.values for read in rows(path)] == [EXPECTED]
    write(path, {"名录": content})
    assert [read.values for read in rows(path)] == [EXPECTED]


def test_prefixes_and_references_are_optional(path: Path) -> None:
    """Some programs write a prefix before every element, some a reference at every cell."""
    content = sheet(row(), row(FIRM)).replace("<", "<x:").replace("<x:/", "</x:")
    write(path, {"名录": content.replace("xmlns=", "xmlns:x=")})
    assert [read.values for read in rows(path)] == [EXPECTED]
    cells = row(FIRM).replace("<c ", '<c r="{}4" ').format(*"ABCDEFGHI")
    write(path, {"名录": sheet("<row/><row/>", row(), cells.replace("<row", '<row r="4"'))})
    assert [(read.number, read.values) for read in rows(path)] == [(4, EXPECTED)]


def test_formatted_and_phonetic_texts_are_read(path: Path) -> None:
    """A text of several runs is joined; the reading above a name is left out; escapes are decoded."""
    head = "<si><r><rPr/><t>甄</t></r><r><t>示例</t></r><rPh><t>zhen</t></rPh></si>"
    strings = f"<sst>{head}<si><t>Opening_x0041_1</t></si></sst>"
    cells = {
        "head_name": '<c t="s"><v>0</v></c>',
        "opening_password": '<c t="s"><v>1</v></c>',
        "phone": "<c t='inlineStr'><is><r><t>138</t></r><r><t>00001234</t></r>"
        "<rPh sb='0' eb='1'><t>yao</t></rPh></is></c>",
    }
    content = sheet(row(), row(FIRM, replaced=cells))
    write(path, {"名录": content}, parts={"sharedStrings": strings})
    (read,) = rows(path)
    assert read.values == {**EXPECTED, "opening_password": "OpeningA1"}


def test_paths_with_backslashes_are_found(path: Path, tmp_path: Path) -> None:
    """Programs on Windows write them into the package, against the standard."""
    write(tmp_path / "right.xlsx", {"名录": sheet(row(), row(FIRM))})
    with zipfile.ZipFile(tmp_path / "right.xlsx") as right, zipfile.ZipFile(path, "w") as wrong:
        for name in right.namelist():
            wrong.writestr(name.replace("/", "\\").replace("sheets", "Sheets"), right.read(name))
    assert [read.values for read in rows(path)] == [EXPECTED]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("xl/workbook.bin", b"", "XLSB"),
        ("content.xml", b"", "ODS"),
        ("Index/Document.iwa", b"", "Numbers"),
        ("word/document.xml", b"", "XLSX"),
    ],
)
def test_other_zip_files_are_named(path: Path, name: str, content: bytes, says: str) -> None:
    """With how to save them."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    assert says in refusal(path)
    assert "另存为" in refusal(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "打开密码"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "Workbook".encode("utf-16-le"), "旧版Excel"),
        (b"<html><table><tr><td>firm_no", "网页"),
        ("\ufeff <?xml version='1.0'?><Workbook>".encode(), "网页"),
        (b"PK\x03\x04", "XLSX"),
    ],
)
def test_files_that_only_have_the_name_of_a_spreadsheet_are_named(
    path: Path, content: bytes, says: str
) -> None:
    """A password, the old format, a page that a system exports as .xls."""
    path.write_bytes(content)
    assert says in refusal(path)


def test_a_zip_file_with_a_password_is_refused(path: Path) -> None:
    """The flag alone suffices, as no part can be read."""
    write(path, {"名录": sheet(row(), row(FIRM))})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 1)
    path.write_bytes(content)
    assert "XLSX" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        sheet(row(), row(FIRM)).removesuffix("</sheetData></worksheet>"),
        sheet(row(), row(FIRM))[:-1],
        sheet(row(), row(FIRM).removesuffix("</row>")),
        sheet(row(), '<row r="5"/>', '<row r="4"/>' + row(FIRM)),
        sheet(row(), row(FIRM, replaced={"phone": '<c t="s"><v>-1</v></c>'})),
        sheet(row(), row(FIRM, replaced={"phone": '<c t="s"><v>7</v></c>'})),
        sheet(row(), row(FIRM, replaced={"phone": '<c r="?"><v>7</v></c>'})),
        "",
    ],
)
def test_a_damaged_sheet_is_refused_before_loading(path: Path, content: str) -> None:
    """Also where it is cut off after a complete row."""
    write(path, {"名录": content})
    assert refusal(path) == "不是可读的XLSX文件，请用Excel或WPS打开后重新另存为XLSX"


def test_content_beyond_the_columns_is_not_lost(path: Path) -> None:
    """A text far to the right is a fault of its row, as everywhere."""
    far = row(FIRM).replace("</row>", '<c r="XFD3" t="inlineStr"><is><t>x</t></is></c></row>')
    write(path, {"名录": sheet(row(), row(OTHER), far)})
    assert [read.faults for read in rows(path)] == [(), ("列数与表头不一致",)]


def test_texts_of_only_invisible_characters_are_empty(path: Path) -> None:
    """A zero-width space is no phone."""
    line = row(
        FIRM, replaced={"phone": cell("\u200b"), "opening_password": cell("\ufeffp-1\u200b ")}
    )
    blank = row(["\u200b"] * 9)
    write(path, {"名录": sheet(blank, row(), blank, line)})
    (read,) = rows(path)
    entry = read_row(read.values, read.faults)
    assert isinstance(entry, Entry)
    assert (read.number, entry.phone, entry.opening_password) == (4, None, "p-1")
    assert entry.notes == ("开户密码首尾的空格已去掉",)


@pytest.mark.parametrize("size", [1, 7, 64, 97, 1_000])
def test_tags_are_found_across_the_chunks_of_a_stream(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The last content, the end of its row, and the merges, wherever a chunk ends."""
    empty = '<row><c s="1"/></row>' * 5
    merges = '<mergeCells><mergeCell ref="G2:G3"/></mergeCells>'
    content = sheet(row(), row(FIRM), row(OTHER), empty, row(FIRM), empty, after=merges)
    write(path, {"名录": content})
    expected = list(rows(path))
    monkeypatch.setattr(xlsx_package, "_CHUNK", size)
    assert list(rows(path)) == expected
    assert [(read.number, len(read.faults)) for read in expected] == [(2, 0), (3, 1), (9, 0)]


def test_an_error_of_the_disk_is_no_damage_of_the_file() -> None:
    """Another file would not help; an impossible position in the package is damage."""
    with pytest.raises(OSError, match="Input/output"), xlsx_package.damage_refused():
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(DirectoryError), xlsx_package.damage_refused():
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_part_that_is_too_large_is_not_unpacked(path: Path) -> None:
    """Its size is stated in the package's list of parts."""
    write(path, {"名录": sheet(row(), row(FIRM))})
    with zipfile.ZipFile(path) as archive, pytest.raises(DirectoryError, match="MiB"):
        next(xlsx_package.Package(archive).chunks("xl/workbook.xml", 100))
