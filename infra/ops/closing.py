"""The command close: close a firm, or open it again."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Console

from chalicelib.domain.catalogue import fill
from chalicelib.services.closing import ClosingResult
from chalicelib.services.notifications import beijing_time

from . import change_words, session, words
from .command import Answer, command, reason_option


@command("close", change_words.CLOSE, f"{change_words.CLOSE_MORE}\n\nFIRM  {words.FIRM_NO}")
@click.argument("firm")
@click.option("--undo", is_flag=True, help=change_words.CLOSE_UNDO)
@reason_option
def close(firm: str, undo: bool, reason: str) -> Answer:
    """Close a firm, or open it again."""
    actor = session.begin_change()
    closing = session.service().desk.closing
    change = closing.reopen if undo else closing.close
    closed = change(firm, actor=actor, reason=reason)
    return Answer(
        asdict(closed),
        lambda console: _show(console, closed, undone=undo),
        success=closed.indexed,
    )


def _show(console: Console, result: ClosingResult, *, undone: bool) -> None:
    """Print what became of a firm that was closed, or opened again."""
    if undone:
        text = change_words.REOPENED if result.changed else change_words.NOT_CLOSED
    else:
        text = change_words.CLOSED if result.changed else change_words.CLOSED_BEFORE
    times = {
        name: beijing_time(at) if at else ""
        for name, at in (("closed", result.closed_at), ("erased", result.erased_at))
    }
    console.print(fill(text, firm_no=result.firm_no, **times))
    for each in result.notified:
        sentence = words.NOTIFIED[each.outcome]
        console.print(fill(sentence, to=each.destination, reason=each.reason or ""))
    if not result.indexed:
        console.print(change_words.NOT_INDEXED)
