"""The documents agree with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app import app
from chalicelib.domain.catalogue import PROBLEMS
from chalicelib.handlers.http.problems import STATUSES
from chalicelib.settings import GATEWAYS, SETTINGS
from infra.deploy.monitoring import ALARMS
from infra.deploy.package import additions

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
MAXIMUM_WORDS = 1_200
# By the first bytes of the file.
MAXIMUM_PICTURES = {b"\x89PNG": 300 * 1024, b"RIFF": 1_500 * 1000}
CHINESE = "README.zh-CN.md"

# The first describes past states, the second is made from the tests and checked there.
HISTORY = {"CHANGELOG.md", "attacks.md"}


@cache
def text(name: str) -> str:
    """Return a document's text; `name` is relative to the root."""
    return (ROOT / name).read_text("utf-8")


def prose(name: str) -> str:
    """Return a document's text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text(name), flags=re.MULTILINE | re.DOTALL)


def section(name: str, heading: str) -> str:
    """Return the part of a document under a heading of the second level."""
    found = text(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, f"{name} has no section {heading}"
    return found


def rows(part: str) -> list[list[str]]:
    """Return the cells of each table row whose first cell is code. No cell contains `|`."""
    lines = re.findall(r"^\| (`.*) \|$", part, re.MULTILINE)
    return [re.split(r" *\| *", line) for line in lines]


def test_the_settings_table_equals_the_code() -> None:
    """Each setting is listed once, in order, with its default; secrets are marked."""
    expected = [
        (
            f"`{setting.name}`" + (" (secret)" if setting.secret else ""),
            {None: "required", "": "empty"}.get(setting.default, f"`{setting.default}`"),
        )
        for setting in SETTINGS
    ]
    assert [(name, default) for name, default, _ in rows(text("docs/settings.md"))] == expected


def test_the_error_table_has_every_code_with_its_status() -> None:
    """Callers branch on the code, so the table is part of the API."""
    table = {row[0].strip("`"): row[1] for row in rows(section("docs/api.md", "Error codes"))}
    assert set(table) == set(PROBLEMS)
    assert {error.code: str(status) for error, status in STATUSES.items()}.items() <= table.items()


def test_the_api_table_has_every_route() -> None:
    """Callers can rely only on documented routes."""
    table = {row[0].strip("`") for row in rows(section("docs/api.md", "Calls"))}
    assert table == {f"{method} {path}" for path, views in app.routes.items() for method in views}


def test_the_gateway_table_has_every_gateway() -> None:
    """SMS_GATEWAYS accepts these names and no others."""
    table = {row[0].strip("`") for row in rows(section("docs/deploy.md", "SMS gateways"))}
    assert table == set(GATEWAYS)


@pytest.mark.parametrize("document", ["docs/deploy.md", "docs/deploy.zh-CN.md"])
def test_the_parameter_tables_have_every_parameter(document: str) -> None:
    """With its default; `make preflight` refuses any other name."""
    expected = {
        name: {"空", "empty"} if body["Default"] == "" else {f"`{body['Default']}`"}
        for name, body in additions()["Parameters"].items()
    }
    table = {row[0].strip("`"): row[1] for row in rows(text(document)) if row[0][1:2].isupper()}
    found = {name: table[name] for name in expected if name in table}
    assert set(found) == set(expected)
    assert all(default in expected[name] for name, default in found.items())


def counted() -> dict[str, set[str]]:
    """Return the metrics that the code counts, each with its dimensions."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "chalicelib").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and call.args and _name(call.func) in ("count", "_count"):
                metric = call.args[0]
                if isinstance(metric, ast.Constant) and isinstance(metric.value, str):
                    found[metric.value] |= {word.arg for word in call.keywords if word.arg}
    return found


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def test_the_metrics_table_has_every_metric_with_its_dimensions() -> None:
    """Alarms and dashboards of operators are built on these names."""
    table = {
        metric.strip("`"): set(re.findall(r"`(\w+)`", dimensions))
        for metric, dimensions, _ in rows(section("docs/operations.md", "Metrics"))
    }
    assert table == counted()


def test_the_operators_handbook_has_every_alarm() -> None:
    """The handbook says what to do at each alarm."""
    headings = re.findall(r"^### (\w+)$", text("docs/operations.zh-CN.md"), re.MULTILINE)
    assert sorted(headings) == sorted(alarm.name for alarm in ALARMS)


def targets() -> dict[str, str]:
    """Return the Makefile's targets with their help."""
    return dict(re.findall(r"^([a-z][a-z-]*):(?:.*?## (.*))?$", text("Makefile"), re.MULTILINE))


def test_every_make_target_is_documented_and_has_help() -> None:
    """The table and `make help` list the same commands as the Makefile."""
    table = {
        row[0].strip("`").removeprefix("make ")
        for row in rows(section("docs/development.md", "Commands"))
    }
    assert table == set(targets())
    assert all(targets().values())


def test_make_help_prints_every_target() -> None:
    """The line of each target is extracted from the Makefile by awk."""
    printed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout
    assert dict(re.findall(r"^ +make (\S+) +(.*)$", printed, re.MULTILINE)) == targets()


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("command", ["make run", "make test", "make help"])
def test_the_readmes_have_the_first_commands(document: str, command: str) -> None:
    """They are the first commands that a newcomer runs."""
    assert command in text(document)
    assert command.removeprefix("make ") in targets()


def _help(module: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_every_option_of_the_local_stack_is_documented() -> None:
    """`make run ARGS=…` passes them on."""
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _help("infra.local"))) - {"--help"}
    table = {
        row[0].strip("`").split()[0]
        for row in rows(section("docs/development.md", "The local stack"))
    }
    assert table == options


def test_every_operators_command_is_documented() -> None:
    """In the English table and, with what it is for, in the operators' own handbook."""
    commands = set(re.findall(r"^  ([a-z][a-z-]*)  ", _help("infra.ops"), re.MULTILINE))
    table = {
        row[0].split()[3].strip("`") for row in rows(section("docs/operations.md", "Commands"))
    }
    assert table == commands
    assert commands <= set(re.findall(r"infra\.ops ([a-z-]+)", text("docs/operations.zh-CN.md")))


def test_the_readme_is_short() -> None:
    """It is an introduction; details have documents of their own."""
    assert len(prose("README.md").split()) <= MAXIMUM_WORDS


def test_the_readmes_link_every_document() -> None:
    """A document without a link is not found; the Chinese README has at least the Chinese ones."""
    english, chinese = ({path for path, _ in links(name)} for name in ("README.md", CHINESE))
    every = {str(document.relative_to(ROOT)) for document in DOCUMENTS}
    assert english | {"README.md"} == every | {"LICENSE"}
    assert {name for name in every if name.endswith(".zh-CN.md")} <= chinese | {CHINESE}
    assert "README.md" in chinese


def links(name: str, *, images: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the relative links of a document as path and anchor."""
    mark = r"!" if images else r"(?<!!)"
    for target in re.findall(mark + r"\[[^\]]*\]\(([^)\s]+)\)", prose(name)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(str(document.relative_to(ROOT))), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_relative_links_resolve(document: Path) -> None:
    """The file exists, and so does the heading."""
    for path, anchor in links(str(document.relative_to(ROOT))):
        target = (document.parent / path).resolve() if path else document
        assert target.is_file(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("readme", ["README.md", CHINESE])
def test_the_readmes_show_every_picture_and_none_is_large(readme: str) -> None:
    """Each PNG has at most 300 KB, an animated WebP 1.5 MB; each has a text for those who cannot see it.

    The support desk's picture is in its staff's document, those beside WeUI in that for developers.
    """
    pictures = [ROOT / path for path, _ in links(readme, images=True)]
    documents = ("docs/operations.zh-CN.md", "docs/development.md")
    for document in documents:
        pictures += [ROOT / "docs" / path for path, _ in links(document, images=True)]
    # The charts of docs/speed.md are in a folder of their own, with a test of their own.
    every = [path for path in (ROOT / "docs" / "images").iterdir() if path.is_file()]
    assert sorted(pictures) == sorted(every)
    for picture in pictures:
        content = picture.read_bytes()
        assert len(content) <= MAXIMUM_PICTURES[content[:4]], picture.name
    assert "![](" not in "".join(map(text, (readme, *documents)))


def paths() -> Iterator[tuple[str, str]]:
    """Yield the paths of the project that documents name in backticks."""
    inside = r"`((?:\./)?(?:app\.py|(?:chalicelib|infra|tests|docs|\.chalice)(?:/[\w.*-]+)+))`"
    for document in DOCUMENTS:
        if document.name not in HISTORY:
            name = str(document.relative_to(ROOT))
            yield from ((name, path) for path in re.findall(inside, prose(name)))


def test_paths_exist() -> None:
    """A reader finds what a document names."""
    found: list[Any] = list(paths())
    assert len(found) > 50
    assert [each for each in found if not list(ROOT.glob(each[1]))] == []


def test_the_examples_of_the_architecture_are_where_it_says() -> None:
    """Each name in a row of "Where do I find" occurs in one of the files that the row names."""
    table = section("docs/architecture.md", "Where do I find …")
    answers = re.findall(r"^\| Where .*? \| (.*) \|$", table, re.MULTILINE)
    assert len(answers) == 4
    for answer in answers:
        code = re.findall(r"`([^`]+)`", answer)
        files = [text(span) for span in code if "/" in span]
        names = [span.rpartition(".")[2] for span in code if "/" not in span]
        assert files
        assert names
        assert [name for name in names if not any(name in file for file in files)] == []


def test_the_documents_use_one_word_for_one_thing() -> None:
    """The words of earlier versions are gone, except from the history of changes."""
    retired = re.compile(r"\b(?:doors?|stories|twins?|wiring|whom)\b", re.IGNORECASE)
    found = [
        (document.name, match[0])
        for document in DOCUMENTS
        if document.name not in HISTORY
        for match in retired.finditer(document.read_text("utf-8"))
    ]
    assert found == []
