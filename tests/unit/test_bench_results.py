"""The benchmarks' results in one file: merged by part, tabled, drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tests.perf.bench import charts, desk, growth, results, tables
from tests.perf.bench.goals import FIRST_RECOVERY

ROOT = Path(__file__).parents[2]


def searches(scale: float) -> list[dict[str, Any]]:
    """Return a row of each kind of search whose figures grow with `scale`."""
    return [
        {
            "search": kind,
            "p50_ms": 4.0 + place + scale,
            "p99_ms": 10.0 + place + scale,
            "cpu_ms": 2.0,
            "calls": 3,
            "read_units": 2.5,
            "read_units_most": 40.0 + scale,
            "firms": 1.0,
        }
        for place, kind in enumerate(desk.KINDS)
    ]


@pytest.fixture
def found() -> dict[str, Any]:
    """Results of all parts that have a chart or a table."""
    names = ("ours", "floor", "a", "a, mail by SMTP", "b, SMS by HTTP")
    cold = ("ours, GET /health", f"ours{FIRST_RECOVERY}", "bare process", f"a{FIRST_RECOVERY}")
    measured = {
        "deployed": {"ours": {"cpu_ms": 30.0}, "a": {"cpu_ms": 240.0}},
        "recovery": {
            name: {"cpu_ms": 10.0 + place, "steps": {"code": {"cpu": 4.25}}}
            for place, name in enumerate(names)
        },
        "cold": {name: {"wall_ms": 100.0 + place} for place, name in enumerate(cold)},
        "packages": [
            {"package": "as built", "zip_mb": 14.5, "wall_ms": 330.0},
            {"package": "without byte code", "zip_mb": 10.25, "wall_ms": 826.0},
        ],
        "desk": {
            "sizes": {
                str(size): {
                    "searches": searches(scale),
                    "recovery": {"cpu_ms": 10.0 + scale},
                    "callback": {"cpu_ms": 1.0, "p50": 4.0},
                }
                for scale, size in enumerate((10_000, 100_000, 1_000_000))
            }
        },
        "cost": {
            "flows": [
                {"flow": "recovery by SMS", "write_units": 16, "read_units": 0, "sms": 2},
            ],
            "recoveries": [{"flow": "10,000 x recovery by SMS", "sms": 900.0, "total": 902.65}],
            "yearly_runs": [
                {"logins": count, "write_units": 6 * count, "read_units": count, "work_cpu_ms": 99}
                for count in (400, 2_000)
            ],
            "yearly_money": [
                {"logins": 24_000, "write_units": 144_000, "read_units": 24_000, "total": 1.82}
            ],
            "yearly_per_login": {
                "write_units": 6.0,
                "read_units": 1.0,
                "lambda_gb_seconds": 0.0321,
            },
            "functions": [
                {
                    "function": "api_handler",
                    "peak_rss_mib": 89.1,
                    "max_ms": 51.0,
                    "memory_mb": 1_769,
                    "timeout_s": 10,
                }
            ],
        },
    }
    return results.merged({}, measured, measured, "2027-01-02")


def test_a_run_replaces_the_results_of_its_own_parts_alone() -> None:
    """Each part keeps its day; the goals are those of all parts, with the new figures."""
    callback = {"callback": {"ratio": 0.6}}
    before = results.merged({}, callback, ["callback"], "2027-01-01")
    both = results.merged(before, {"worker": {"ratio": 0.95}}, ["reset"], "2027-01-02")
    assert both["callback"] == {"ratio": 0.6}
    assert both["measured"] == {"callback": "2027-01-01", "reset": "2027-01-02"}
    assert [goal["met"] for goal in both["goals"]] == [False, True]

    again = results.merged(both, {"callback": {"ratio": 0.4}}, ["callback"], "2027-01-03")
    assert again["measured"] == {"callback": "2027-01-03", "reset": "2027-01-02"}
    assert [goal["measured"] for goal in again["goals"]] == [0.4, 0.95]
    # What was read is not changed.
    assert before["callback"] == {"ratio": 0.6}
    assert list(before["measured"]) == ["callback"]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Nothing is left beside the file; without it there are no results."""
    file = tmp_path / "artifacts" / "bench.json"
    assert results.read(file) == {}
    results.write({"callback": {"名": 1}}, file)
    results.write({"callback": {"名": 2}}, file)
    assert results.read(file) == {"callback": {"名": 2}}
    assert list(file.parent.iterdir()) == [file]


def test_growth_compares_the_smallest_with_the_largest_size(found: dict[str, Any]) -> None:
    """A figure of one size has no row; the searches are there with their costliest kind."""
    rows = {row["figure"]: row for row in found["growth"]}
    recovery = rows["whole recovery without a hash, CPU ms"]
    assert (recovery["from_size"], recovery["from"]) == (10_000, 10.0)
    assert (recovery["to_size"], recovery["to"]) == (1_000_000, 12.0)
    assert (recovery["times_size"], recovery["times"]) == (100.0, 1.2)
    slowest = len(desk.KINDS) - 1
    search = rows["desk search, p50 ms of the costliest kind"]
    assert (search["from"], search["to"]) == (4.0 + slowest, 6.0 + slowest)
    assert rows["desk search, read units of the costliest kind"]["times"] == 1.05
    assert rows["yearly run, write units per login"]["times"] == 1

    sizes = found["desk"]["sizes"]
    alone = {"desk": {"sizes": {"10000": sizes["10000"]}}}
    assert growth.growth(alone) == growth.growth({}) == []


def test_the_tables_are_those_of_the_document(found: dict[str, Any]) -> None:
    """Each heading is in docs/speed.md, and each row has a cell for each column."""
    text = tables.markdown(found)
    document = (ROOT / "docs" / "speed.md").read_text("utf-8")
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert len(headings) == 8
    for heading in headings:
        assert re.search(rf"^##+ {re.escape(heading)}$", document, re.MULTILINE), heading
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block
    for row in (
        "| ours | 30.0 | 10.0 |",
        "| the floor | | 11.0 |",
        "| a, mail by SMTP | 240.0 | 13.0 |",
        "| a, messages in memory | | 12.0 |",
        "| without byte code | 10.25 | 826 |",
        "| whole recovery as deployed, CPU / a | 0.12 | ≤ 0.3 | yes |",
        "| number | 4.0 / 10.0 | 5.0 / 11.0 | 6.0 / 12.0 |",
        "| 10,000 × recovery by SMS | 160,000 | 0 | 20,000 | 902.65: SMS 900, the rest 2.65 |",
        "| `api_handler` | 89 | 0.05 | 1,769 MB, 10 s |",
    ):
        assert row in text.splitlines(), row
    assert tables.markdown({}) == ""


def test_the_same_results_are_drawn_as_the_same_bytes(
    found: dict[str, Any], tmp_path: Path
) -> None:
    """Every chart is well-formed, with its text as outlines, and names neither day nor program."""
    first = list(charts.draw(found, tmp_path / "first"))
    second = list(charts.draw(found, tmp_path / "second"))
    assert [file.stem for file in first] == list(charts.CHARTS)
    for one, other in zip(first, second, strict=True):
        content = one.read_bytes()
        assert content == other.read_bytes(), one.name
        assert b"<date>" not in content.replace(b"dc:date", b"date"), one.name
        assert b"Matplotlib v" not in content
        root = ElementTree.fromstring(content)
        assert not [element for element in root.iter() if element.tag.endswith("}text")]
        assert float(root.attrib["width"].removesuffix("pt")) == 360


def test_another_figure_is_another_chart(found: dict[str, Any], tmp_path: Path) -> None:
    """The charts show the results that they are given."""
    before = {file.name: file.read_bytes() for file in charts.draw(found, tmp_path)}
    found["deployed"]["ours"]["cpu_ms"] = 60.0
    after = {file.name: file.read_bytes() for file in charts.draw(found, tmp_path)}
    assert [name for name, content in after.items() if content != before[name]] == [
        "recovery-as-deployed.svg"
    ]


def test_a_part_without_results_keeps_its_chart(found: dict[str, Any], tmp_path: Path) -> None:
    """Only the charts of parts that ran are written."""
    left = tmp_path / "desk-search.svg"
    left.write_text("before")
    del found["desk"]
    drawn = list(charts.draw(found, tmp_path))
    assert left not in drawn
    assert len(drawn) == len(charts.CHARTS) - 1
    assert left.read_text() == "before"
    assert list(charts.draw({}, tmp_path / "none")) == []


def test_the_command_prints_the_tables_of_a_file(found: dict[str, Any], tmp_path: Path) -> None:
    """It then draws nothing."""
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(found), "utf-8")
    done = CliRunner().invoke(charts.main, ["--tables", "--results", str(file)])
    assert done.exit_code == 0
    assert done.output.strip() == tables.markdown(found)


def test_the_document_shows_every_chart_with_a_text() -> None:
    """Each is small, and what it shows is said to those who cannot see it."""
    document = (ROOT / "docs" / "speed.md").read_text("utf-8")
    shown = dict(re.findall(r"!\[([^\]]+)\]\(images/speed/([\w-]+)\.svg\)", document))
    assert sorted(shown.values()) == sorted(charts.CHARTS)
    assert all(len(text) > 30 for text in shown)
    files = sorted((ROOT / "docs" / "images" / "speed").iterdir())
    assert [file.stem for file in files] == sorted(charts.CHARTS)
    assert all(file.stat().st_size < 100_000 for file in files)
