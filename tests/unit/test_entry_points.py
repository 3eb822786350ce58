"""app.py holds entry points and nothing else."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_the_entry_points_import_only_handlers() -> None:
    """app.py is a module of its own, outside the packages that the import rules check."""
    tree = ast.parse((ROOT / "app.py").read_text("utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"__future__", "typing", "chalice.app", "chalicelib.handlers"}


@pytest.mark.parametrize(
    "module",
    [
        "infra.deploy.first_settings",
        "infra.deploy.package",
        "infra.deploy.preflight",
        "infra.deploy.smoke",
        "infra.ops.__main__",
    ],
)
def test_a_command_names_itself_in_its_help(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is started: `python -m …`."""
    monkeypatch.setattr(sys, "argv", ["__main__.py", "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert not ended.value.code
    assert f"python -m {module.removesuffix('.__main__')} " in capsys.readouterr().out
