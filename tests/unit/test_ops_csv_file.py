"""CSV files as other programs write them: marks, delimiters, header rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.ops.enrolment.directory_row import COLUMN_NAMES, COLUMNS, Entry, read_row
from infra.ops.files.directory_file import DirectoryError, check, rows
from tests.support.xlsx_cases import FIRM

# With every delimiter in a cell.
TRICKY = (FIRM[0], "示例,所;一\t二", *FIRM[2:8], "a,b;c\td")
CHINESE = (
    "会计师事务所编号",
    "名称",
    "省份",
    "批准文号",
    "主任会计师",
    "身份证后四位",
    "手机号",
    "财务手机号",
    "开户密码",
)


def text_of(
    *lines: Sequence[str],
    header: Sequence[str] = COLUMN_NAMES,
    delimiter: str = ",",
    quoting: int = csv.QUOTE_MINIMAL,
) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([header, *lines])
    return out.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firms.csv"


def loaded(path: Path, content: str | bytes) -> list[tuple[int, dict[str, str]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    read = list(rows(path))
    assert all(isinstance(read_row(row.values, row.faults), Entry) for row in read)
    return [(row.number, dict(row.values)) for row in read]


def values(firm: Sequence[str] = FIRM) -> dict[str, str]:
    return dict(zip(COLUMN_NAMES, firm, strict=True))


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff", "\ufeff\u200b", "\u200b"])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_marks_at_the_start_are_no_text(path: Path, mark: str, encoding: str, quoting: int) -> None:
    """One or two, in either encoding, also before a quote."""
    content = (mark + text_of(FIRM, quoting=quoting)).encode(encoding)
    assert loaded(path, content) == [(2, values())]


def test_a_marked_file_without_chinese_is_gb18030(path: Path) -> None:
    """Its mark is the only character that is not ASCII."""
    firm = ("11010148", "Example", "11", "2012-84", "Zhen", "0123", "", "", "Opening-1")
    assert loaded(path, ("\ufeff" + text_of(firm)).encode("gb18030")) == [(2, values(firm))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("first", ["", "\r\n\r\n", "sep={}\r\n", '"sep={}"\r\n'])
def test_delimiters_are_found_in_the_header(
    path: Path, delimiter: str, quoting: int, first: str
) -> None:
    """Quoted or not, below blank lines, and below Excel's line that names the delimiter."""
    content = first.format(delimiter) + text_of(TRICKY, delimiter=delimiter, quoting=quoting)
    path.write_text(content, "utf-8", newline="")
    (read,) = rows(path)
    assert read.values == values(TRICKY)
    assert read.number == 2 + first.count("\r\n")


@pytest.mark.parametrize(
    "header",
    [
        CHINESE,
        tuple(f" {name}\u3000" for name in CHINESE),
        tuple(f"\u200b{name}\ufeff" for name in COLUMN_NAMES),
        tuple(name.upper() for name in COLUMN_NAMES),
        (*CHINESE[:4], *COLUMN_NAMES[4:]),
        tuple(f"{name[:2]}\n{name[2:]}" for name in CHINESE),
    ],
)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_header_names_may_be_chinese(path: Path, header: Sequence[str], delimiter: str) -> None:
    """Mixed with the English ones, with spaces, invisible characters and line breaks in them."""
    assert [row for _, row in loaded(path, text_of(FIRM, header=header, delimiter=delimiter))] == [
        values()
    ]


def test_every_column_has_its_chinese_name() -> None:
    """Those of the operators' document."""
    assert tuple(column.chinese for column in COLUMNS) == CHINESE
    document = Path(__file__).parents[2] / "docs" / "deploy.zh-CN.md"
    for column in COLUMNS:
        assert f"| `{column.name}` | " in document.read_text("utf-8")
        assert f"**{column.chinese}**" in document.read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (text_of(FIRM, header=(*CHINESE, "firm_no")), "列firm_no重复"),
        (text_of(FIRM, header=CHINESE[1:]), "缺少列firm_no"),
        (text_of(FIRM).partition("\n")[2], "第1行不是表头"),
        ("\n\n示例,名录\n" + text_of(FIRM), "第3行不是表头"),
        (text_of(FIRM).replace(",", "|"), "第1行不是表头"),
        (text_of(FIRM).replace(",", "，"), "第1行不是表头"),
        ("\u200b\n \n", "文件是空的"),
    ],
)
def test_a_wrong_header_is_refused_with_its_row(path: Path, content: str, says: str) -> None:
    """The words name the row and the columns."""
    path.write_text(content, "utf-8")
    with pytest.raises(DirectoryError, match=says):
        check(path)


def test_a_row_of_only_invisible_characters_is_blank(path: Path) -> None:
    """It is counted, as a spreadsheet shows it."""
    blank = ",".join(["\u200b"] * 9) + "\n"
    content = text_of() + blank + text_of(FIRM).partition("\n")[2]
    assert loaded(path, content) == [(3, values())]


def test_a_header_row_of_any_length_is_refused(path: Path) -> None:
    """Python's reader raises an error of its own for a cell of more than 128 KiB."""
    path.write_text("x" * 140_000 + "\n", "utf-8")
    with pytest.raises(DirectoryError, match="firm_no"):
        check(path)
