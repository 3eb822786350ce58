"""The README names everything that others rely on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from chalicelib.doors.problems import STATUSES
from chalicelib.settings import GATEWAYS, SETTINGS

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_the_readme_has_every_setting(name: str) -> None:
    """A setting that is not documented is one that nobody sets."""
    assert f"`{name}`" in README


@pytest.mark.parametrize("error", STATUSES, ids=lambda error: error.code)
def test_the_readme_has_every_error_code_with_its_status(error: type) -> None:
    """Callers branch on the code, so the table is part of the API."""
    assert f"| `{error.code}` | {STATUSES[error]} |" in README


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_readme_has_every_gateway(gateway: str) -> None:
    """In its own table."""
    assert f"| `{gateway}` |" in README


@pytest.mark.parametrize(
    "command", ["setup", "run", "test", "check", "audit", "load", "timing", "bench", "package"]
)
def test_the_readme_has_every_command_and_make_knows_it(command: str) -> None:
    """What the README tells to type exists."""
    assert f"`make {command}`" in README
    assert command in COMMANDS


def test_the_entry_points_touch_only_doors_and_wiring() -> None:
    """app.py is a module of its own, which the import rules do not reach."""
    tree = ast.parse((ROOT / "app.py").read_text("utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"__future__", "typing", "chalice.app", "chalicelib.doors", "chalicelib"}
    assert modules <= allowed
