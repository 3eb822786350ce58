"""The commands account, phone, unbind, unlock and audit, on a single login."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from chalicelib.domain.catalogue import fill
from chalicelib.services.support import ChangeResult

from . import session, views, words
from .command import Answer, command, login_argument, reason_option


@command("account", words.ACCOUNT, f"LOGIN  {words.LOGIN}")
@login_argument
def account(login: str) -> Answer:
    """Show the login's state and what keeps codes from arriving."""
    overview = session.diagnosis().overview(login)
    return Answer(asdict(overview), lambda console: views.overview(console, overview))


@command("audit", words.AUDIT, f"LOGIN  {words.LOGIN}")
@login_argument
@click.option(
    "--count",
    "most",
    type=click.IntRange(1, 1_000),
    default=50,
    metavar="N",
    show_default=False,
    help=f"{words.AUDIT_COUNT}（{words.DEFAULT}50）",
)
def audit(login: str, most: int) -> Answer:
    """Show the login's last audit events."""
    events = session.diagnosis().history(login, most)
    facts = [asdict(event) for event in events]
    return Answer(facts, lambda console: views.history(console, events))


@command("phone", words.PHONE, f"LOGIN   {words.LOGIN}\nNUMBER  {words.PHONE_NUMBER}")
@login_argument
@click.argument("number")
@reason_option
def phone(login: str, number: str, reason: str) -> Answer:
    """Bind another phone to the login."""
    actor = session.begin_change()
    changed = session.support().change_phone(login, number, actor=actor, reason=reason)
    return _answer("phone", changed)


@command("unbind", words.UNBIND, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def unbind(login: str, reason: str) -> Answer:
    """Remove the login's WeChat binding."""
    actor = session.begin_change()
    return _answer("unbind", session.support().unbind(login, actor=actor, reason=reason))


@command("unlock", words.UNLOCK, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def unlock(login: str, reason: str) -> Answer:
    """Empty the login's rate-limit counts."""
    actor = session.begin_change()
    return _answer("unlock", session.support().unlock(login, actor=actor, reason=reason))


def _answer(name: str, changed: ChangeResult) -> Answer:
    lines = [
        fill((words.CHANGED if changed.changed else words.UNCHANGED)[name], login=changed.login)
    ]
    lines += [
        fill(words.TOLD[result.outcome], to=result.destination, reason=result.reason or "")
        for result in changed.notified
    ]
    facts: dict[str, Any] = asdict(changed)
    return Answer(facts, lambda console: console.print("\n".join(lines)))
