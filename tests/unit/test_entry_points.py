"""app.py holds entry points and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_entry_points_import_only_handlers() -> None:
    """app.py is a module of its own, outside the packages that the import rules check."""
    tree = ast.parse((ROOT / "app.py").read_text("utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"__future__", "typing", "chalice.app", "chalicelib.handlers"}
