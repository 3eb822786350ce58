"""The firms of the local stack: what is printed of a directory file, and when it cannot start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib import runtime
from infra.local import audit_feed, seeding
from infra.local.clock import MovableClock
from infra.local.journal import Journal
from infra.local.people import People
from infra.local.seeding import CannotStart
from infra.local.tour import Demo, Tour
from infra.local.wechat.simulator import CannotDo
from infra.ops import enrol
from tests.conftest import World

FILE = Path("firms.csv")


def load(patch: pytest.MonkeyPatch, outcome: Any) -> list[str]:
    """Load a file with this report, or this error; return what was printed."""
    printed: list[str] = []
    patch.setattr(enrol, "load", Mock(side_effect=[outcome]))
    seeding.seed(FILE, printed.append, lambda: None)
    return printed


def report(refused: int, loaded: int) -> Any:
    rows = [SimpleNamespace(row=number, reasons=("缺少手机号",)) for number in range(refused)]
    return SimpleNamespace(refused=rows, loaded=loaded, unchanged=0)


def test_a_long_list_of_refused_rows_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty of them are printed, and the number of the others."""
    printed = load(monkeypatch, report(23, 1))
    assert printed[0] == "  row 0 refused: 缺少手机号"
    assert printed[20:] == ["  3 more rows refused"]


def test_a_long_load_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, the rows so far."""

    def loaded(_: Path, progress: Callable[[object], None]) -> Any:
        for row in range(3):
            progress(row)
        return report(0, 3)

    monkeypatch.setattr(seeding, "_PROGRESS_SECONDS", -1)
    printed: list[str] = []
    monkeypatch.setattr(enrol, "load", loaded)
    assert seeding.seed(FILE, printed.append, lambda: None) == 3
    assert printed == ["  1 firms loaded", "  2 firms loaded", "  3 firms loaded"]


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (report(1, 0), "no row of it can be loaded"),
        (ValueError("damaged\nfile"), "damaged file"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_a_file_without_firms_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, says: str
) -> None:
    """In one line, which names the file."""
    with pytest.raises(CannotStart) as ended:
        load(monkeypatch, outcome)
    assert str(ended.value) == f"firms file {FILE}: {says}"


def test_a_login_that_does_not_exist_has_no_events(world: World) -> None:
    """The demo's page may ask for one that an operator has deleted."""
    assert runtime.service() is world.service
    assert audit_feed.feed(["99999999"]) == []


def demo(contents: Any) -> Demo:
    """Return a demo on outside platforms."""
    return Demo(
        clock=MovableClock(),
        people=People(),
        journal=Journal(),
        login_page=Mock(),
        scheduler=Mock(),
        sms=None,
        wechat=None,
        contents=contents,
    )


def test_only_tables_of_the_demo_return_to_the_beginning() -> None:
    """With outside platforms, scenes cannot be played either way."""
    with pytest.raises(CannotDo, match="outside"):
        Tour(demo(None)).reset()
    contents = Mock()
    tour = Tour(demo(contents))
    with runtime.using(None):
        tour.reset()
    contents.restore.assert_called_once_with()
    assert (tour.can_reset, tour.can_begin) == (True, False)
