"""Lighthouse's scores of the page, mobile profile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.needs import CACHE, CannotHave, exclusively

VERSION = "12.8.2"
"""The last line of Lighthouse that runs on Debian's own Node."""

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")

_TIMINGS = {
    "first_contentful_paint_ms": "first-contentful-paint",
    "largest_contentful_paint_ms": "largest-contentful-paint",
    "total_blocking_time_ms": "total-blocking-time",
}


def measure(url: str, chromium: str, *, runs: int = 3) -> dict[str, Any]:
    """The scores, 0 to 100, of the page at `url`, and what keeps one of them from 100.

    Of `runs` reports the one of median performance, since a busy machine makes single ones
    waver. Raises CannotHave where Lighthouse cannot be fetched or does not run.
    """
    command = _lighthouse()
    reports = sorted((_report(command, url, chromium) for _ in range(runs)), key=_performance)
    report = reports[len(reports) // 2]
    audits = report["audits"]
    scores = {name: round((report["categories"][name]["score"] or 0) * 100) for name in CATEGORIES}
    timings = {name: round(audits[audit]["numericValue"]) for name, audit in _TIMINGS.items()}
    short = {
        reference["id"]
        for name in CATEGORIES
        if scores[name] < 100
        for reference in report["categories"][name]["auditRefs"]
        # None is an audit that does not apply.
        if reference["weight"] > 0 and audits[reference["id"]]["score"] not in (1, None)
    }
    return {
        **scores,
        **timings,
        "short_of_100": sorted(short),
        "runs": runs,
        "lighthouse": report["lighthouseVersion"],
    }


def _performance(report: dict[str, Any]) -> float:
    return float(report["categories"]["performance"]["score"] or 0)


def _lighthouse() -> Path:
    folder = CACHE / f"lighthouse-{VERSION}"
    command = folder / "node_modules" / ".bin" / "lighthouse"
    npm = shutil.which("npm")
    with exclusively():
        if command.exists():
            return command
        if npm is None:
            raise CannotHave("Lighthouse comes from npm, and npm is not here")
        staging = Path(tempfile.mkdtemp(dir=CACHE))
        done = subprocess.run(
            [
                npm,
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                f"--prefix={staging}",
                f"lighthouse@{VERSION}",
            ],
            capture_output=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            shutil.rmtree(staging, ignore_errors=True)
            raise CannotHave(f"npm install lighthouse failed: {done.stderr.decode()[-300:]}")
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    return command


def _report(command: Path, url: str, chromium: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        done = subprocess.run(
            [
                str(command),
                url,
                "--quiet",
                "--output=json",
                f"--output-path={output}",
                f"--only-categories={','.join(CATEGORIES)}",
                "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
            ],
            env={**os.environ, "CHROME_PATH": chromium},
            capture_output=True,
            check=False,
            timeout=240,
        )
        if done.returncode or not output.exists():
            raise CannotHave(f"Lighthouse did not run: {done.stderr.decode()[-300:]}")
        report: dict[str, Any] = json.loads(output.read_text("utf-8"))
        return report
