"""Load the firms of a directory file and set the account's menu before the first request."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chalicelib import runtime
from infra.ops import enrol

from .firms import ListedFirm, listed

_PROGRESS_SECONDS = 5
"""Seconds between two progress lines of a long file."""

_REFUSALS = 20
"""Maximum number of refused rows that are printed."""


class CannotStart(Exception):
    """The local stack cannot start; the text says why in one line."""


def one_line(error: BaseException) -> str:
    """Return an error's message without line breaks."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())


def read(path: Path) -> list[ListedFirm]:
    """Return the firms for the phone page. Raises CannotStart where the file cannot be read."""
    try:
        return listed(path)
    except (OSError, ValueError) as error:
        raise CannotStart(f"firms file {path}: {one_line(error)}") from None


def seed(path: Path, say: Callable[[str], None], check_stopped: Callable[[], None]) -> int:
    """Load the file's firms and return their number. Raises CannotStart.

    `check_stopped` is called after each row; what it raises ends the load.
    """
    rows = 0
    printed_at = time.monotonic()

    def progress(_: object) -> None:
        nonlocal rows, printed_at
        rows += 1
        check_stopped()
        if time.monotonic() - printed_at > _PROGRESS_SECONDS:
            printed_at = time.monotonic()
            say(f"  {rows} firms loaded")

    try:
        report = enrol.load(path, progress)
    except (OSError, ValueError) as error:
        raise CannotStart(f"firms file {path}: {one_line(error)}") from None
    for refused in report.refused[:_REFUSALS]:
        say(f"  row {refused.row} refused: {'；'.join(refused.reasons)}")
    if len(report.refused) > _REFUSALS:
        say(f"  {len(report.refused) - _REFUSALS} more rows refused")
    loaded = report.loaded + report.unchanged
    if not loaded:
        raise CannotStart(f"firms file {path}: no row of it can be loaded")
    return loaded


def make_menu() -> None:
    """Set the menu of the simulated account to that of the real one."""
    service = runtime.service()
    service.platform.create_menu(service.menu)
