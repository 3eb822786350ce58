"""Processes of the program leave a report of their coverage, and no others do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.deploy.package import ROOT
from tests.support import coverage, probes


def reports_of(folder: Path, *arguments: str) -> list[set[str]]:
    """Run Python with these arguments as a measured process; return the files of each report."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(coverage.STARTUP),
        probes.REPORTS_VARIABLE: str(folder),
    }
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)
    found = [json.loads(report.read_text("utf-8"))["files"] for report in folder.iterdir()]
    return [{name for name, file in files.items() if file["executed_lines"]} for files in found]


def test_the_package_that_a_process_runs_is_measured(tmp_path: Path) -> None:
    """The module that `-m` names is among its files."""
    [files] = reports_of(tmp_path, "-m", "infra.deploy.words")
    assert files == {"infra/deploy/words.py"}


def test_a_process_that_may_measure_itself_is_not_measured(tmp_path: Path) -> None:
    """A test of time or memory runs its program by `-c`."""
    assert reports_of(tmp_path, "-c", "import infra.deploy.words") == []
