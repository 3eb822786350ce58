"""Measure the package that a process of a test runs, such as `infra.local` in `python -m infra.local`.

Python imports this module before the program, because its folder is in PYTHONPATH: `tests/support/coverage.py`
puts it there. What else the process imports is not measured: instrumenting all of it would add a second and a
half to each start, and the tests reach it in their own process. A process that ends by SIGKILL has no report.
"""

from __future__ import annotations

import sys


def _package() -> str | None:
    """Return the measured package, with dots; None for any other program."""
    # sys.argv is not yet set.
    match sys.orig_argv[1:3]:
        case ["-m", module] if module.startswith("infra."):
            return ".".join(module.split(".")[:2])
    return None


def _measure(package: str) -> None:
    import atexit
    import json
    import os
    from pathlib import Path

    reports = os.environ.get("COVERAGE_REPORTS")
    if reports is None:
        return
    root = str(Path(__file__).parents[3])
    sys.path.insert(0, root)
    try:
        from tests.support import probes
    finally:
        sys.path.remove(root)
    inserted = probes.create()
    probes.insert(inserted, package.replace(".", "/"))

    def report() -> None:
        # Renamed once it is whole, since the process may be killed meanwhile.
        part = Path(reports) / f"{os.getpid()}.part"
        part.write_text(json.dumps(inserted.get_coverage()), "utf-8")
        part.rename(part.with_suffix(".json"))

    atexit.register(report)


if (package := _package()) is not None:
    _measure(package)
