"""What is there before the first request: the firms of a directory file, and the account's menu."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chalicelib import runtime
from infra.ops import enrol

from .firms import ListedFirm, listed

_TOLD_EVERY = 5
"""Seconds between two words on the progress of a long file."""

_REFUSALS = 20
"""Refused rows that are shown; of the others the number."""


class CannotStart(Exception):
    """The twin cannot start; the text says why in one line."""


def in_a_line(error: BaseException) -> str:
    """What an error says, without line breaks."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def read(path: Path) -> list[ListedFirm]:
    """The firms for the phone page. Raises CannotStart where the file cannot be read."""
    try:
        return listed(path)
    except (OSError, ValueError) as error:
        raise CannotStart(f"firms file {path}: {in_a_line(error)}") from None


def seed(path: Path, say: Callable[[str], None], go_on: Callable[[], None]) -> int:
    """Load the file's firms; returns how many there are. Raises CannotStart, and what `go_on` does.

    `go_on` is called after each row.
    """
    seen = 0
    told = time.monotonic()

    def progress(_: object) -> None:
        nonlocal seen, told
        seen += 1
        go_on()
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            say(f"  {seen} firms loaded")

    try:
        report = enrol.load(path, progress)
    except (OSError, ValueError) as error:
        raise CannotStart(f"firms file {path}: {in_a_line(error)}") from None
    for refused in report.refused[:_REFUSALS]:
        say(f"  row {refused.row} refused: {'；'.join(refused.reasons)}")
    if len(report.refused) > _REFUSALS:
        say(f"  {len(report.refused) - _REFUSALS} more rows refused")
    loaded = report.loaded + report.unchanged
    if not loaded:
        raise CannotStart(f"firms file {path}: no row of it can be loaded")
    return loaded


def make_menu() -> None:
    """Give the simulated account the menu that the real one has."""
    service = runtime.service()
    service.platform.create_menu(service.menu)
