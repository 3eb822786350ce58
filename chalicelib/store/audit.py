"""What happened to a login, kept for at least 190 days (MLPS level 3 asks for half a year)."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from ..domain.limits import DAY
from .dynamo import ConditionFailed, read, translate_errors, update
from .models import AuditItem, MessageItem

# Seconds. WeChat tells what became of a message within a few.
_RECEIPT_OVERTAKES = 60

# Vendors keep trying a phone that is switched off for up to three days.
_RECEIPT_AWAITED = 4 * DAY


# Numbers this process's events: the clock's seconds alone leave those of one second unordered.
_made = itertools.count()


def entry(login: str, event: str, now: int, **facts: str | None) -> AuditItem:
    """A new audit item, to be written alone or within a transaction; `now` in epoch seconds.

    Events of one process sort as they were made, also within one second.
    """
    at = f"{now * 1000:013d}-{next(_made) & 0xFFFF_FFFF:08x}{secrets.token_hex(8)}"
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


def add_receipt(
    login: str,
    at: str,
    message_id: str,
    receipt: str,
    reason: str | None,
    *,
    gateway: str | None = None,
) -> bool:
    """Put the vendor's receipt of a message on its send; False where the send is of another one.

    A receipt may overtake the answer that names the message, so a send without a name takes it;
    and receipts come in any order, so one of failure never undoes one of delivery.
    """
    condition = (AuditItem.event == "code-sent") & (
        AuditItem.message_id.does_not_exist() | (AuditItem.message_id == message_id)
    )
    if receipt != "delivered":
        condition &= AuditItem.receipt.does_not_exist() | (AuditItem.receipt != "delivered")
    facts = {"receipt": receipt, "reason": reason, "message_id": message_id, "gateway": gateway}
    try:
        _settle(login, at, facts, condition)
    except ConditionFailed:
        return False
    return True


def name_message(gateway: str, message_id: str, login: str, at: str, now: int) -> None:
    """Remember which send a vendor's message belongs to, for a receipt that names nothing else."""
    item = MessageItem(_message(gateway, message_id))
    actions: list[Action] = [
        MessageItem.login.set(login),
        MessageItem.send.set(at),
        MessageItem.expires_at.set(now + _RECEIPT_AWAITED),
    ]
    update(item, actions)


def message_of(gateway: str, message_id: str) -> tuple[str, str] | None:
    """The login and the key of the send that `name_message` remembered, or None."""
    item = read(MessageItem, _message(gateway, message_id))
    return None if item is None else (item.login, item.send)


def _message(gateway: str, message_id: str) -> str:
    return f"message#{gateway}#{message_id}"


def add_wechat_receipt(
    login: str, at: str, message_id: str, receipt: str, reason: str | None, told_at: int
) -> bool:
    """Put what WeChat tells of a template message on the send with this key, if it is of that one.

    `told_at` is WeChat's time of the event, epoch seconds. An event may overtake the answer that
    names the message, and an answer may be lost: so a send of that time without a name takes it too.
    """
    nameless = AuditItem.message_id.does_not_exist()
    near = abs(told_at - int(at[:13]) // 1000) <= _RECEIPT_OVERTAKES
    mine = AuditItem.message_id == message_id
    facts = {"receipt": receipt, "reason": reason, "message_id": message_id}
    pushed = AuditItem.gateway == "wechat-template"
    try:
        _settle(login, at, facts, pushed & ((mine | nameless) if near else mine))
    except ConditionFailed:
        return False
    return True


def named_send(login: str, message_id: str, since: int) -> str | None:
    """The key of the login's send of this name, if there is one since a time in epoch seconds."""
    with translate_errors():
        sends = list(
            AuditItem.query(
                login,
                AuditItem.at >= f"{since * 1000:013d}",
                filter_condition=AuditItem.message_id == message_id,
            )
        )
    return str(sends[-1].at) if sends else None


def _settle(login: str, at: str, facts: Mapping[str, str | None], condition: Condition) -> None:
    actions = [getattr(AuditItem, name).set(value) for name, value in facts.items() if value]
    if actions:
        update(AuditItem(login, at), actions, condition)
