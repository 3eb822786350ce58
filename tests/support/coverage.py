"""Pytest plugin: measure the coverage of the program in every test process, by SlipCover.

`make test` names this module in PYTEST_PLUGINS, so that it is loaded before any conftest, in the
processes of pytest-xdist as well: a module is instrumented when it is imported. coverage.py traces each
line of every library too before Python 3.12, which adds two fifths to the time of a test on moto.

A process that a test starts with `python -m infra.…` and the environment of pytest's process is measured
by `measured_process/sitecustomize.py`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slipcover

from tests.support import probes

REPORT = probes.ROOT / "artifacts" / "coverage.json"

_FOLDERS = ("chalicelib", "infra")
STARTUP = Path(__file__).with_name("measured_process")
"""A folder whose module `sitecustomize` measures the process that imports it."""

_KEY = "coverage"


class Measurement:
    """The coverage of this process, and in the controller of pytest-xdist that of its workers."""

    def __init__(self) -> None:
        self._probes = probes.create()
        self._reports: tempfile.TemporaryDirectory[str] | None = None
        self._found: list[dict[str, Any]] = []
        self._is_complete = True

    def begin(self) -> None:
        """Measure what is imported and what is started from now on."""
        probes.insert(self._probes, *_FOLDERS, "app.py")
        self._reports = tempfile.TemporaryDirectory()
        os.environ[probes.REPORTS_VARIABLE] = self._reports.name
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(STARTUP), *([before] if before else [])])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._reports is None:
            return
        own = self._probes.get_coverage()
        for report in Path(self._reports.name).glob("*.json"):
            slipcover.merge_coverage(own, json.loads(report.read_text("utf-8")))
        self._reports.cleanup()
        output = getattr(session.config, "workeroutput", None)
        if output is None:
            self._found.append(own)
        else:
            output[_KEY] = json.dumps(own)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Receive a worker's coverage; a worker that broke off has none."""
        if _KEY in getattr(node, "workeroutput", {}):
            self._found.append(json.loads(node.workeroutput[_KEY]))
        else:
            self._is_complete = False

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the report and print the total, unless the run broke off."""
        if not self._found or not self._is_complete:
            return
        # Includes the files that no test imports.
        total = probes.create(_FOLDERS).get_coverage()
        for each in self._found:
            slipcover.merge_coverage(total, each)
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(total), "utf-8")
        terminalreporter.write_line(_sentence(total["summary"]))


def _sentence(summary: dict[str, Any]) -> str:
    lines, branches = (
        f"{summary[f'covered_{kind}']} of {summary[f'covered_{kind}'] + summary[f'missing_{kind}']}"
        for kind in ("lines", "branches")
    )
    return f"coverage {summary['percent_covered']:.1f} %: {lines} lines, {branches} branches"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that switches the measurement off."""
    parser.addoption("--no-coverage", action="store_true", help="do not measure the coverage")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Begin before the conftests, which import the program."""
    options = early_config.known_args_namespace
    if not options.no_coverage:
        measurement = Measurement()
        early_config.pluginmanager.register(measurement, "coverage-measurement")
        is_controller = options.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ
        if not is_controller:
            measurement.begin()
    return (yield)
