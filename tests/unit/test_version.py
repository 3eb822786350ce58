"""One version everywhere: the constant, the project file, the changelog, answers and log lines."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path

from chalicelib.version import VERSION
from tests.conftest import World
from tests.support.log_capture import watching

ROOT = Path(__file__).parent.parent.parent


def test_the_project_file_states_the_version() -> None:
    """pyproject.toml and the constant are changed together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


def test_the_newest_section_of_the_changelog_is_the_version() -> None:
    """A release without its section, or a section without its release, is a mistake."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(
        r"^## \[(.+)\] - (?:unreleased|\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE
    )
    assert sections[0] == VERSION
    assert len(sections) == changelog.count("\n## ")


def test_health_answers_the_version(world: World) -> None:
    """Operators see from outside which version runs."""
    answer = world.http.get("/health")
    assert answer.json_body == {"status": "ok", "version": VERSION}


def test_each_json_log_line_has_the_version() -> None:
    """A line shows which version wrote it."""
    with watching() as watched:
        logging.getLogger("chalicelib.sample").info("a line")
    assert [line["version"] for line in watched.lines] == [VERSION]
