"""Load a directory file, for the import command and for the local stack."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from chalicelib import runtime
from chalicelib.domain.errors import Unavailable

from . import container, words
from .enrolment.enrolment import Rebind, Report, Result
from .files import directory_file


class Interrupted(OSError):
    """The store stopped answering during a load; `report` counts the rows known to be loaded."""

    def __init__(self, report: Report) -> None:
        super().__init__(words.INTERRUPTED)
        self.report = report


def load(
    path: Path,
    progress: Callable[[Result], None] | None = None,
    *,
    counted: Callable[[int], None] | None = None,
    actor: str = "local",
    reason: str | None = None,
    rebind: Rebind | None = None,
    sheet: str | None = None,
) -> Report:
    """Load every row without faults; return the totals, the refused rows and the duration.

    `counted` is called first, with the number of rows; `progress` with each row's result, in order.
    `reason` is stored in the audit; the default is the file's name and digest. Bound phones stay
    unless `rebind` is given. `sheet` names the sheet of an XLSX file to read. Raises DirectoryError (a
    ValueError) where the file cannot be read, in which case nothing is loaded, and Interrupted.
    """
    count = directory_file.check(path, sheet)
    if counted is not None:
        counted(count)
    enrolment = container.enrolment(runtime.service(), rebind)
    report = Report()
    began = time.perf_counter()
    try:
        rows = directory_file.rows(path, sheet)
        for result in enrolment.load(rows, actor=actor, reason=reason or source_of(path)):
            report.add(result)
            if progress is not None:
                progress(result)
    except Unavailable as error:
        raise Interrupted(report) from error
    finally:
        report.seconds = time.perf_counter() - began
    return report


def source_of(path: Path) -> str:
    """Return the file's name and the first 16 hexadecimal digits of its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.name} sha256:{digest[:16]}"
