"""The command yearly-reset: start and follow the yearly reset of finance logins."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import Unavailable
from chalicelib.services.yearly_reset import YearlyReset, begun_early, in_first_week
from chalicelib.store.reset_runs import Note, Run

from . import session, views, words
from .command import Answer, Failed, command, read_at_terminal, require_reason, terminal

PAUSE = 0.5
"""Seconds between two looks at the run."""

# Seconds without a finished chunk after which --wait fails. A failed message is delivered again
# after twelve minutes.
_STALLED = 1_800
_MOST_NOTES = 1_000


@command("yearly-reset", words.RESET, words.RESET_MORE)
@click.option("--year", type=int, metavar="YYYY", help=words.RESET_YEAR_OPTION)
@click.option("--status", "status_year", type=int, metavar="YYYY", help=words.RESET_STATUS)
@click.option("--dry-run", is_flag=True, help=words.RESET_DRY_RUN)
@click.option("--wait", is_flag=True, help=words.RESET_WAIT)
@click.option("--redrive", is_flag=True, help=words.RESET_REDRIVE)
@click.option("--reason", metavar="TEXT", help=words.REASON_UNLESS_DRY)
@click.option("--yes", is_flag=True, help=words.RESET_YES)
def yearly_reset(
    *,
    year: int | None,
    status_year: int | None,
    dry_run: bool,
    wait: bool,
    redrive: bool,
    reason: str | None,
    yes: bool,
) -> Answer:
    """Start the year's run, forecast it, or show its progress."""
    if (year is None) == (status_year is None) or (
        status_year is not None and (dry_run or wait or redrive)
    ):
        raise click.UsageError(words.RESET_ONE_OF)
    why = None if dry_run or status_year is not None else require_reason(reason)
    service = session.service()
    reset = service.yearly_reset
    if status_year is not None:
        return _status(reset, status_year)
    assert year is not None
    if dry_run:
        forecast = reset.forecast(year)
        facts = {"year": year, "logins": forecast.logins, "outcomes": dict(forecast.outcomes)}
        return Answer(facts, lambda console: views.forecast(console, year, forecast))
    actor = session.begin_change()
    if not yes and not in_first_week(year, service.clock()):
        _confirm(year)
    if redrive:
        reset.redrive()
    reset.start(year, actor, reason=why)
    if wait:
        follow(reset, year)
    return _status(reset, year)


def _confirm(year: int) -> None:
    """Require the year once more at the terminal. Raises Failed with status 2."""
    typed = read_at_terminal(fill(words.RESET_CONFIRM, year=year))
    if typed is None:
        raise Failed("not-confirmed", fill(words.RESET_NO_TERMINAL, year=year), 2)
    if typed != str(year):
        raise Failed("not-confirmed", words.RESET_NOT_CONFIRMED, 2)


def _status(reset: YearlyReset, year: int) -> Answer:
    run = reset.status(year)
    if run is None:
        raise Failed("no-run", fill(words.RESET_NONE, year=year))
    notes = reset.notes(year)
    shown = list(islice(notes, _MOST_NOTES))
    dead = reset.dead(year)
    facts: dict[str, Any] = {
        **asdict(run),
        "state": state(run),
        "begun_early": begun_early(run),
        "notes": [asdict(note) for note in _chain(shown, notes)],
        "dead_letters": dead.messages,
        "unreadable_letters": dead.unreadable,
    }
    facts.pop("cursor")
    return Answer(
        facts,
        lambda console: views.run(console, run, state(run), shown, dead),
        success=not run.failed and not dead.messages,
    )


def state(run: Run) -> str:
    """Return the run's state: `planning`, `working` or `done`."""
    if not run.planned:
        return "planning"
    return "done" if run.complete else "working"


def _chain(first: list[Note], rest: Iterator[Note]) -> Iterator[Note]:
    yield from first
    yield from rest


def follow(
    reset: YearlyReset,
    year: int,
    *,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show the run's progress until it ends.

    `sleep` waits for a number of seconds, `clock` counts seconds. Raises Failed after half an hour
    without progress, and Unavailable where the store does not answer then.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    moved, before = clock(), -1
    with Progress(
        *columns, console=terminal(stderr=True), disable=not sys.stderr.isatty()
    ) as progress:
        task = progress.add_task(fill(words.RESETTING, year=year), total=None)
        while True:
            try:
                run = reset.status(year)
            except Unavailable:
                # The run does not depend on this process; a busy store recovers.
                if clock() - moved > _STALLED:
                    raise
                sleep(PAUSE)
                continue
            if run is None or run.complete:
                break
            accounted = run.done + run.skipped + run.failed
            progress.update(task, completed=accounted, total=run.logins or None)
            if run.finished_chunks != before:
                moved, before = clock(), run.finished_chunks
            elif clock() - moved > _STALLED:
                raise Failed("stalled", fill(words.RESET_STALLED, year=year))
            sleep(PAUSE)
        if run is not None:
            progress.update(task, completed=run.logins, total=run.logins)
