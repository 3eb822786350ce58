"""The command import: load a directory file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.reasons import parse_reason
from chalicelib.services.support import Review

from . import change_words, enrol, session, views, words
from .aws_errors import described
from .command import Answer, Failed, command, reason_option, second_eyes_option, terminal
from .enrolment.enrolment import Report, Result
from .enrolment.firms import Directory
from .files.directory_file import DirectoryError


@command("import", words.IMPORT, f"{words.IMPORT_MORE}\n\nFILE  {words.IMPORT_FILE}")
@click.argument("file", type=click.Path(path_type=Path))
@reason_option
@click.option("--sheet", metavar="NAME", help=words.IMPORT_SHEET)
@click.option("--update", is_flag=True, help=words.IMPORT_UPDATE)
@click.option("--yes", is_flag=True, help=words.IMPORT_YES)
@click.option("--update-phones", is_flag=True, help=words.IMPORT_PHONES)
@second_eyes_option
def import_file(
    file: Path,
    reason: str,
    sheet: str | None,
    update: bool,
    yes: bool,
    update_phones: bool,
    profile: str | None,
) -> Answer:
    """Enrol the firms of a directory file."""
    why = parse_reason(reason)
    actor = session.begin_change()
    approver = None if profile is None else session.second_identity(profile)
    interrupted, why_interrupted = False, ""
    try:
        why += f"（{enrol.source_of(file)}）"
        rebind = None
        if update_phones:
            support = session.support()

            def rebind(login: str, phone: str) -> object:
                review = Review(approver)
                return support.change_phone(login, phone, review, actor=actor, reason=why)

        if update:
            _confirm(enrol.preview(file, sheet, rebinds=update_phones), yes=yes)
        if update_phones and approver is None:
            # Before the load, whose threads may change many phones.
            session.report_break_glass()
        with _Bar() as bar:
            report = enrol.load(
                file,
                bar.advance,
                counted=bar.begin,
                actor=actor,
                reason=why,
                rebind=rebind,
                sheet=sheet,
                update=update,
            )
    except enrol.Interrupted as error:
        report, interrupted = error.report, True
        cause = error.__cause__.__cause__ if error.__cause__ else None
        why_interrupted = described(words.INTERRUPTED_BY, cause)
    except DirectoryError as error:
        raise Failed("directory-file", str(error)) from None
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise Failed("file", fill(words.ERRORS["file"], path=file, what=what)) from None

    # A file of some columns, or a load that was cut short, does not say which firms there are.
    lacking = None if update or interrupted else _lacking(report)

    def show(console: Console) -> None:
        views.report(console, report)
        if lacking is not None:
            _show_lacking(console, lacking)
        elif not update and not interrupted:
            console.print(change_words.LACKING_UNKNOWN)
        if interrupted:
            console.print(words.INTERRUPTED + why_interrupted)

    success = not interrupted and not report.refused
    facts = _facts(report, interrupted)
    facts["lacking"] = None if lacking is None else {"count": len(lacking), "firm_nos": lacking}
    if interrupted:
        facts["message"] = words.INTERRUPTED + why_interrupted
    return Answer(facts, show, success)


def _lacking(report: Report) -> list[str] | None:
    """Return the firms that the file lacks, or None where that cannot be read.

    What was loaded stays loaded, so that the failure is no failure of the command.
    """
    try:
        return Directory().lacking(report.firm_nos)
    except Unavailable:
        return None


def _show_lacking(console: Console, lacking: list[str]) -> None:
    if not lacking:
        return
    some = "、".join(lacking[:_MOST_LACKING]) + ("…" if len(lacking) > _MOST_LACKING else "")
    console.print(fill(change_words.LACKING, count=len(lacking), some=some))


_MOST_LACKING = 10


def _confirm(preview: enrol.Preview, *, yes: bool) -> None:
    """Show what would change, and return only with the operator's consent.

    Raises UsageError where there is no terminal for the question, Abort where the operator declines.
    """
    views.preview(terminal(stderr=True), preview)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(words.UPDATE_UNCONFIRMED)
    click.confirm(words.UPDATE_CONFIRM, abort=True, err=True)


def _facts(report: Report, interrupted: bool) -> dict[str, Any]:
    return {
        "loaded": report.loaded,
        "unchanged": report.unchanged,
        "refused": [
            {"row": result.row, "firm_no": result.firm_no, "reasons": result.reasons}
            for result in report.refused
        ],
        "notes": [
            {"row": result.row, "firm_no": result.firm_no, "notes": result.notes}
            for result in report.with_notes
        ],
        "schemes": dict(sorted(report.schemes.items())),
        "hashes": report.hashes,
        "seconds": round(report.seconds, 2),
        "hashes_per_second": round(report.hashes_per_second, 1),
        "interrupted": interrupted,
    }


class _Bar:
    """A progress bar on stderr; disabled where stderr is no terminal."""

    def __init__(self) -> None:
        console = terminal(stderr=True)
        self._progress = Progress(
            TextColumn(words.LOADING),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, rows: int) -> None:
        """Set the total number of rows."""
        self._progress.update(self._task, total=rows)

    def advance(self, _: Result) -> None:
        """Count one more row."""
        self._progress.advance(self._task)
