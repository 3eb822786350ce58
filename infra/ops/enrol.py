"""Loading a directory file, as the command and the local twin do it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from chalicelib import wiring
from chalicelib.domain.errors import Unavailable
from chalicelib.stories.enrolment import Rebind, Report, Result

from . import directory_file, words


class Interrupted(OSError):
    """The store stopped answering midway; `report` counts the rows that are certainly loaded."""

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
) -> Report:
    """Load every good row; the report says what was refused and why, and how long it took.

    `counted` is told the number of rows first, `progress` each row's result in their order.
    `reason` stands in the audit; without one it is the file's name and digest. Phones that are
    bound already stay as they are unless `rebind` is given. Raises directory_file.DirectoryError
    (a ValueError) where the file itself cannot be read, and then has loaded nothing; Interrupted.
    """
    count = directory_file.check(path)
    if counted is not None:
        counted(count)
    enrolment = wiring.service().enrolment(rebind)
    report = Report()
    began = time.perf_counter()
    try:
        rows = directory_file.rows(path)
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
    """The file's name and the beginning of its SHA-256, by which an audit finds it again."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.name} sha256:{digest[:16]}"
