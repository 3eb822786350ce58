"""The commands account, phone, unbind, unlock and audit, on a single login."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import click
from rich.console import Console

from chalicelib.domain.catalogue import fill
from chalicelib.domain.phones import phone_number
from chalicelib.domain.reasons import parse_reason
from chalicelib.services.desk.reviews import as_csv as csv_of
from chalicelib.services.support import ChangeResult, PhoneDoubt, Review

from . import change_words, session, views, words
from .command import (
    Answer,
    Failed,
    command,
    login_argument,
    read_at_terminal,
    reason_option,
    second_eyes_option,
)


@command("account", words.ACCOUNT, f"LOGIN  {words.LOGIN}")
@login_argument
def account(login: str) -> Answer:
    """Show the login's state and what keeps codes from arriving."""
    overview = session.diagnosis().overview(login)
    return Answer(asdict(overview), lambda console: views.overview(console, overview))


@command("audit", words.AUDIT, f"LOGIN  {words.LOGIN}{words.AUDIT_LOGIN}")
@click.argument("login", required=False)
@click.option(
    "--count",
    "most",
    type=click.IntRange(1, 1_000),
    default=50,
    metavar="N",
    show_default=False,
    help=f"{words.AUDIT_COUNT}（{words.DEFAULT}50）",
)
@click.option("--by", metavar="STAFF", default="", help=words.AUDIT_BY)
@click.option("--from", "first", metavar="DATE", default="", help=words.AUDIT_FROM)
@click.option("--to", "last", metavar="DATE", default="", help=words.AUDIT_TO)
@click.option("--csv", "as_csv", is_flag=True, help=words.AUDIT_CSV)
def audit(login: str | None, most: int, by: str, first: str, last: str, as_csv: bool) -> Answer:
    """Show the login's last audit events, or the acts of the staff."""
    if login is not None and not (by or first or last or as_csv):
        events = session.diagnosis().history(login, most)
        facts = [asdict(event) for event in events]
        return Answer(facts, lambda console: views.history(console, events))
    reviews = session.service().desk.reviews
    acts = list(reviews.acts(reviews.parse(by, login or "", first, last)))
    facts = [{**asdict(act.event), "login": act.login} for act in acts]
    if as_csv:
        return Answer(facts, lambda console: console.out(csv_of(tuple(acts)), end=""))
    return Answer(facts, lambda console: views.acts(console, acts))


@command("phone", words.PHONE, f"LOGIN   {words.LOGIN}\nNUMBER  {words.PHONE_NUMBER}")
@login_argument
@click.argument("number")
@reason_option
@click.option("--yes", is_flag=True, help=words.PHONE_YES)
@second_eyes_option
def phone(login: str, number: str, reason: str, yes: bool, profile: str | None) -> Answer:
    """Bind another phone to the login."""
    parse_reason(reason)
    actor = session.begin_change()
    approver = None if profile is None else session.second_identity(profile)
    support = session.support()
    if not yes:
        _confirm(support.phone_doubts(login, number), number)
    review = Review(approver, session.report_break_glass)
    changed = support.change_phone(login, number, review, actor=actor, reason=reason)
    answer = change_answer("phone", changed)
    answer.facts["approver"] = approver

    def show(console: Console) -> None:
        answer.show(console)
        if changed.changed:
            text = change_words.UNAPPROVED if approver is None else change_words.APPROVED_BY
            console.print(fill(text, approver=approver or ""))

    return replace(answer, show=show)


def _confirm(doubts: Sequence[PhoneDoubt], number: str) -> None:
    """Require a doubtful phone once more at the terminal. Raises Failed with status 2."""
    if not doubts:
        return
    why = "".join(words.PHONE_DOUBTS[doubt] for doubt in doubts)
    typed = read_at_terminal(why + words.PHONE_CONFIRM)
    if typed is None:
        raise Failed("not-confirmed", why + words.PHONE_NO_TERMINAL, 2)
    if phone_number(typed) != phone_number(number):
        raise Failed("not-confirmed", words.PHONE_NOT_CONFIRMED, 2)


@command("unbind", words.UNBIND, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def unbind(login: str, reason: str) -> Answer:
    """Remove the login's WeChat binding."""
    actor = session.begin_change()
    return change_answer("unbind", session.support().unbind(login, actor=actor, reason=reason))


@command("unlock", words.UNLOCK, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def unlock(login: str, reason: str) -> Answer:
    """Empty the login's rate-limit counts."""
    actor = session.begin_change()
    return change_answer("unlock", session.support().unlock(login, actor=actor, reason=reason))


def change_answer(name: str, changed: ChangeResult) -> Answer:
    """Return what a command that changed a login shows; `name` is its key in the texts."""
    lines = [
        fill((words.CHANGED if changed.changed else words.UNCHANGED)[name], login=changed.login)
    ]
    lines += [
        fill(words.NOTIFIED[result.outcome], to=result.destination, reason=result.reason or "")
        for result in changed.notified
    ]
    if name == "phone" and changed.codes_by_wechat:
        lines.append(fill(words.PHONE_BUT_WECHAT, login=changed.login))
    facts: dict[str, Any] = asdict(changed)
    return Answer(facts, lambda console: console.print("\n".join(lines)))
