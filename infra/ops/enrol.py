"""Load a directory file, for the import command and for the local stack."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chalicelib import runtime
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.logins import fold

from . import container, words
from .enrolment.enrolment import Rebind, Report, Result
from .enrolment.firms import Directory
from .enrolment.update import completed
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
    update: bool = False,
) -> Report:
    """Load every row without faults; return the totals, the refused rows and the duration.

    `counted` is called first, with the number of rows; `progress` with each row's result, in order.
    `reason` is stored in the audit; the default is the file's name and digest. Bound phones stay
    unless `rebind` is given. `sheet` names the sheet of an XLSX file to read. Raises DirectoryError (a
    ValueError) where the file cannot be read, in which case nothing is loaded, and Interrupted.

    With `update`, the file has firm_no and some of the columns, and only these change.
    """
    count = directory_file.check(path, sheet, partial=update)
    if counted is not None:
        counted(count)
    enrolment = container.enrolment(runtime.service(), rebind)
    report = Report()
    began = time.perf_counter()
    try:
        rows = directory_file.rows(path, sheet, partial=update)
        if update:
            rows = (done.row for done in completed(rows, Directory(), rebinds=rebind is not None))
        for result in enrolment.load(rows, actor=actor, reason=reason or source_of(path)):
            report.add(result)
            if progress is not None:
                progress(result)
    except Unavailable as error:
        raise Interrupted(report) from error
    finally:
        report.seconds = time.perf_counter() - began
    return report


@dataclass
class Preview:
    """What an update of some columns would change."""

    rows: int = 0
    firms: list[str] = field(default_factory=list)
    """The numbers of the firms that change, in the order of the rows."""
    columns: Counter[str] = field(default_factory=Counter)
    """Number of firms by the column that changes."""


def preview(path: Path, sheet: str | None = None, *, rebinds: bool = False) -> Preview:
    """Return what `load` with `update` would change; nothing is written.

    `rebinds` is whether phones that are bound change too. Raises DirectoryError, OSError, Unavailable.
    """
    directory_file.check(path, sheet, partial=True)
    runtime.service()
    summary = Preview()
    rows = directory_file.rows(path, sheet, partial=True)
    for done in completed(rows, Directory(), rebinds=rebinds):
        summary.rows += 1
        if done.changed:
            # Folded, a cell has no control characters that a terminal would execute.
            summary.firms.append(fold(done.row.values["firm_no"]))
            summary.columns.update(done.changed)
    return summary


def source_of(path: Path) -> str:
    """Return the file's name and the first 16 hexadecimal digits of its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.name} sha256:{digest[:16]}"
