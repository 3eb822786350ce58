"""The commands find, freeze, unfreeze, export and search-index."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from chalicelib.domain.catalogue import fill
from chalicelib.domain.reasons import parse_reason
from chalicelib.store import audit

from . import exporting, indexing, session, views, words
from .accounts import change_answer
from .command import Answer, command, login_argument, reason_option


@command("find", words.FIND, f"TEXT  {words.FIND_TEXT}")
@click.argument("text")
def find(text: str) -> Answer:
    """Show the firms that fit a text."""
    found = session.service().desk.find.find(text)
    facts = {"firms": [asdict(firm) for firm in found.firms], "more": found.more}
    return Answer(facts, lambda console: views.firms(console, found))


@command("freeze", words.FREEZE, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def freeze(login: str, reason: str) -> Answer:
    """Freeze the login."""
    actor = session.begin_change()
    return change_answer("freeze", session.support().freeze(login, actor=actor, reason=reason))


@command("unfreeze", words.UNFREEZE, f"LOGIN  {words.LOGIN}")
@login_argument
@reason_option
def unfreeze(login: str, reason: str) -> Answer:
    """End the freezing of the login."""
    actor = session.begin_change()
    return change_answer("unfreeze", session.support().unfreeze(login, actor=actor, reason=reason))


@command("export", words.EXPORT, f"FIRM  {words.FIRM_NO}")
@click.argument("firm")
def export(firm: str) -> Answer:
    """Show everything that is kept about a firm, as JSON in any case."""
    actor = session.caller()
    facts = exporting.export(session.service(), firm, actor)
    text = json.dumps(facts, ensure_ascii=False, indent=2)
    return Answer(facts, lambda console: console.out(text))


@command("search-index", words.SEARCH_INDEX, words.SEARCH_INDEX_MORE)
@reason_option
def search_index(reason: str) -> Answer:
    """Write the search entries of all firms and phones."""
    why = parse_reason(reason)
    actor = session.begin_change()
    service = session.service()
    audit.record(
        audit.entry(actor, "search-index-rebuilt", service.clock(), actor=actor, reason=why)
    )
    indexed = indexing.rebuild(service.desk.search_index)
    text = fill(words.SEARCH_INDEXED, firms=indexed.firms, phones=indexed.phones)
    return Answer(indexed._asdict(), lambda console: console.print(text))
