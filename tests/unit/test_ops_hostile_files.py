"""Files that unpack to gigabytes, and damaged ones: bounded memory and time, never a traceback."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.catalogue import DIRECTORY_FILES
from infra.ops.enrolment.directory_row import COLUMN_NAMES, read_row
from infra.ops.files import csv_file
from infra.ops.files.directory_file import DirectoryError, check, rows
from tests.conftest import World
from tests.support.ops_runner import REASON, Run
from tests.support.xlsx_cases import FIRM, MAIN, row, sheet, write

PLAIN = ",".join(COLUMN_NAMES) + "\n" + ",".join(FIRM) + "\n"
MEASURED = """
import resource, sys
from pathlib import Path
from infra.ops.files import csv_file
from infra.ops.files.directory_file import DirectoryError, check
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    print(check(Path(sys.argv[1])))
except DirectoryError as error:
    print(ascii(str(error)))
after = resource.getrusage(resource.RUSAGE_SELF)
print((after.ru_maxrss - before.ru_maxrss) // 1024, int(after.ru_utime - before.ru_utime))
"""


def measured(path: Path) -> tuple[str, int, int]:
    """Check a file in a process that has 1 GiB on Linux; return the result, MiB of memory, seconds of CPU."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    result, used = ran.stdout.splitlines()
    # ru_maxrss counts KiB on Linux and bytes on macOS.
    memory, seconds = map(int, used.split())
    return result, memory // (1024 if sys.platform == "darwin" else 1), seconds


def refused(key: str) -> str:
    return DIRECTORY_FILES[key].partition("$")[0]


def write_part(path: Path, name: str, chunks: Iterable[bytes]) -> Path:
    """Add a part to an XLSX file, chunk by chunk."""
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as part,
    ):
        for chunk in chunks:
            part.write(chunk)
    return path


def with_sheet(path: Path, chunks: Iterable[bytes]) -> Path:
    """Write an XLSX file whose only sheet is made of chunks."""
    write(path, {"名录": ""})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if "sheets" not in name}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return write_part(path, "xl/sheets/0.xml", chunks)


def empty_rows(count: int) -> Iterable[bytes]:
    """Rows as a spreadsheet writes them where whole columns are formatted."""
    one = b'<row s="1" customFormat="1" ht="15"><c s="1"/></row>'
    for _ in range(count // 1_000):
        yield one * 1_000


START = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode()
END = b"</sheetData></worksheet>"


def test_a_million_empty_rows_cost_little(tmp_path: Path) -> None:
    """They are searched for content, not parsed."""
    firms = (row() + row(FIRM)).encode()
    chunks = [START, firms, *empty_rows(1_000_000), END]
    result, memory, seconds = measured(with_sheet(tmp_path / "firms.xlsx", chunks))
    assert result == "1"
    assert memory < 60
    assert seconds < 20


def test_a_firm_below_many_empty_rows_is_found(tmp_path: Path) -> None:
    """No row between two firms is skipped to save time."""
    chunks = [START, row().encode(), *empty_rows(20_000), row(FIRM).encode(), END]
    path = with_sheet(tmp_path / "firms.xlsx", chunks)
    assert [read.number for read in rows(path)] == [20_002]


def test_shared_strings_beyond_the_limit_are_not_unpacked(tmp_path: Path) -> None:
    """A gigabyte of them packs into a megabyte."""
    path = write(
        tmp_path / "a.xlsx", {"名录": sheet(row(), row(FIRM))}, parts={"sharedStrings": "x"}
    )
    rewritten = tmp_path / "firms.xlsx"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(rewritten, "w") as target:
        for name in archive.namelist():
            if "sharedStrings.xml" not in name:
                target.writestr(name, archive.read(name))
    some = b"<si><t>x</t></si>" * 10_000
    write_part(rewritten, "xl/sharedStrings.xml", [b"<sst>", *[some] * 400, b"</sst>"])
    result, memory, seconds = measured(rewritten)
    assert refused("too-large") in result.encode().decode("unicode_escape")
    assert memory < 60
    assert seconds < 10


def test_shared_strings_below_the_limit_stay_within_memory(tmp_path: Path) -> None:
    """Three hundred thousand short ones, many more than any directory has."""
    strings = "<sst>" + "<si><t>x</t></si>" * 300_000 + "</sst>"
    path = write(
        tmp_path / "a.xlsx", {"名录": sheet(row(), row(FIRM))}, parts={"sharedStrings": strings}
    )
    result, memory, seconds = measured(path)
    assert result == "1"
    assert memory < 100
    assert seconds < 60


def test_a_sheet_beyond_the_limit_is_not_unpacked(tmp_path: Path) -> None:
    """Its size is known before."""
    chunks = [START, row().encode(), *empty_rows(3_000_000), END]
    result, memory, _ = measured(with_sheet(tmp_path / "firms.xlsx", chunks))
    assert refused("too-large") in result.encode().decode("unicode_escape")
    assert memory < 60


def test_a_package_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    """No more than the declared size is unpacked."""
    path = with_sheet(tmp_path / "firms.xlsx", [START, *empty_rows(10_000), END])
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DirectoryError, match="XLSX"):
        check(path)


ENTITIES = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (ENTITIES + sheet(row(), row(FIRM)).replace("甄示例", "&b;"), "xlsx"),
        (sheet(row(), row(("x" * 100_000, *FIRM[1:]))), "xlsx"),
        (
            sheet(
                row(),
                row(FIRM),
                after="".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(3, 50_010)),
            ),
            "merges",
        ),
    ],
)
def test_other_excesses_are_refused(tmp_path: Path, content: str, key: str) -> None:
    """Entities, a cell longer than a spreadsheet allows, more merges than firms."""
    path = write(tmp_path / "firms.xlsx", {"名录": content})
    with pytest.raises(DirectoryError) as error:
        check(path)
    assert str(error.value) == DIRECTORY_FILES[key]


def test_a_merge_of_the_whole_sheet_costs_nothing(tmp_path: Path) -> None:
    """Seventeen billion covered cells are the columns of each row that exists."""
    content = sheet(row(), row(FIRM), after='<mergeCell ref="A2:XFD1048576"/>')
    (read,) = rows(write(tmp_path / "firms.xlsx", {"名录": content}))
    assert len(read.faults) == 8


def test_a_package_of_too_many_parts_is_refused(tmp_path: Path) -> None:
    """A workbook has dozens."""
    path = write(tmp_path / "firms.xlsx", {"名录": sheet(row(), row(FIRM))})
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    with pytest.raises(DirectoryError, match=refused("too-large")):
        check(path)


def test_a_huge_csv_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size, and by its rows."""
    monkeypatch.setattr(csv_file, "_MAXIMUM_ROWS", 1_000)
    path = tmp_path / "firms.csv"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(DirectoryError, match=refused("too-large")):
        check(path)
    path.write_bytes(PLAIN.encode() + b"\n" * 999)
    with pytest.raises(DirectoryError, match=refused("too-large")):
        check(path)


# Damaged files


def read_all(content: bytes, path: Path) -> None:
    """Read a file as an import does; only a DirectoryError may be raised."""
    path.write_bytes(content)
    with contextlib.suppress(DirectoryError):
        for read in rows(path):
            read_row(read.values, read.faults)


LINES = st.lists(
    st.lists(st.text(max_size=20) | st.sampled_from([*FIRM, *COLUMN_NAMES]), max_size=11),
    max_size=6,
)
RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@RELAXED
@given(st.binary(max_size=400))
def test_any_bytes_are_a_file_or_refused(tmp_path: Path, content: bytes) -> None:
    """Also after a good header."""
    read_all(content, tmp_path / "firms.csv")
    read_all(PLAIN.encode() + content, tmp_path / "firms.csv")


@RELAXED
@given(
    LINES,
    st.sampled_from([",", ";", "\t", '","', "|"]),
    st.sampled_from(["\n", "\r\n", "\r", '"\n"']),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
)
def test_any_cells_are_rows_or_refused(
    tmp_path: Path, lines: list[list[str]], delimiter: str, end: str, encoding: str
) -> None:
    """With any delimiter, line end and encoding."""
    header = delimiter.join(COLUMN_NAMES)
    text = end.join([header, *(delimiter.join(cells) for cells in lines)])
    read_all(text.encode(encoding, "replace"), tmp_path / "firms.csv")


@RELAXED
@given(st.integers(0, 1 << 20), st.binary(max_size=8), st.integers(0, 40), st.booleans())
def test_a_damaged_workbook_is_read_or_refused(
    tmp_path: Path, at: int, put: bytes, removed: int, in_sheet: bool
) -> None:
    """Damage in the package, or in the XML of a sheet that is packed soundly."""
    path = tmp_path / "firms.xlsx"
    content = sheet(row(), row(FIRM), after='<mergeCell ref="A2:B2"/>')
    if in_sheet:
        raw = content.encode()
        start = at % len(raw)
        raw = raw[:start] + put + raw[start + removed :]
        read_all(with_sheet(path, [raw]).read_bytes(), path)
        return
    whole = write(path, {"名录": content}, parts={"sharedStrings": "<sst/>"}).read_bytes()
    start = at % len(whole)
    read_all(whole[:start] + put + whole[start + removed :], path)


@pytest.mark.usefixtures("serial_moto")
def test_a_damaged_file_shows_no_secret_and_no_traceback(
    run_ops: Run, world: World, tmp_path: Path
) -> None:
    """Whatever is damaged, no output has a password, a phone or the digits of an ID."""
    secret = (
        "11010148",
        "示例所",
        "11",
        "京1",
        "甄示例",
        "7391",
        "13912345678",
        "",
        "Canary-Open-9",
    )
    text = ",".join(COLUMN_NAMES) + "\n" + ",".join(secret) + "\n"
    book = write(tmp_path / "a.xlsx", {"名录": sheet(row(), row(secret))}).read_bytes()
    for seed in range(40):
        chance = random.Random(seed)
        content = bytearray(chance.choice([text.encode(), text.encode("gb18030"), book]))
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = tmp_path / "firms"
        path.write_bytes(content)
        ran = run_ops("import", str(path), *REASON, *(["--json"] if seed % 2 else []))
        assert ran.status in (0, 1)
        # The AWS account of moto contains the digits of the phone.
        output = (ran.out + ran.err).replace("AWS账号123456789012", "")
        for part in ("Traceback", "Canary", "Open-9", "13912345678", "12345678", "7391"):
            assert part not in output, seed
