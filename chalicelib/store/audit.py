"""What happened to a login, kept for at least 190 days (MLPS level 3 asks for half a year)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pynamodb.expressions.condition import Condition

from .dynamo import Refused, update
from .models import AuditItem


def entry(login: str, event: str, now: int, **facts: str | None) -> AuditItem:
    """A new audit item, to be written alone or within a transaction; `now` in epoch seconds."""
    at = f"{now * 1000:013d}-{secrets.token_hex(8)}"
    facts.setdefault("actor", "person")
    item = AuditItem(login, at, event=event)
    for name, value in facts.items():
        setattr(item, name, value)
    return item


def time_of(item: AuditItem) -> int:
    """When the event was, epoch seconds."""
    return int(item.at[:13]) // 1000


def settle_send(login: str, at: str, **facts: str | None) -> None:
    """Complete a send's item by what its gateway answered."""
    _settle(login, at, facts, AuditItem.login.exists())


def add_receipt(login: str, at: str, message_id: str, receipt: str, reason: str | None) -> bool:
    """Put the vendor's receipt of a message on its send; False where the send is of another one.

    A receipt may overtake the answer that names the message, so a send without a name takes it.
    """
    mine = AuditItem.message_id.does_not_exist() | (AuditItem.message_id == message_id)
    facts = {"receipt": receipt, "reason": reason, "message_id": message_id}
    try:
        _settle(login, at, facts, AuditItem.login.exists() & mine)
    except Refused:
        return False
    return True


def _settle(login: str, at: str, facts: Mapping[str, str | None], condition: Condition) -> None:
    actions = [getattr(AuditItem, name).set(value) for name, value in facts.items() if value]
    if actions:
        update(AuditItem(login, at), actions, condition)
