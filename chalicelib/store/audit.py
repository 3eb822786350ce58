"""The audit trail of logins, which expires after AUDIT_RETENTION_DAYS.

MLPS level 3 requires half a year.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from ..domain import origin
from ..domain.canary import is_test_firm
from ..domain.limits import DAY
from ..domain.staff import ACTOR
from .dynamo import ConditionFailed, read, translate_errors, update
from .ephemeral_models import MessageItem
from .models import AuditItem

STAFF_DAY = "staff#"
"""The prefix of a day's key for the acts of the staff."""

_BEIJING = timedelta(hours=8)

# Seconds between a send and WeChat's event about it; usually only a few.
_LONGEST_EVENT_DELAY = 60

# Seconds that the link from a message to its send is stored. Vendors retry a phone that is switched
# off for up to three days.
_MESSAGE_RETENTION = 4 * DAY

# WeChat accepts up to 64 characters.
_CLIENT_MSG_ID_LENGTH = 32
_CLIENT_MSG_ID = re.compile(r"[0-9]{13}[0-9a-f]{19}")

# Seconds; `retain` sets the setting of the process.
_retention = 400 * DAY

# Orders the events of one process within one second, which is the clock's resolution.
_sequence = itertools.count()


def retain(days: int) -> None:
    """Set after how many days the events of this process expire, as the setting says."""
    global _retention  # noqa: PLW0603
    _retention = days * DAY


def entry(login: str, event: str, now: int, **facts: str | None) -> AuditItem:
    """Return a new audit item, not yet written; `now` in epoch seconds.

    `facts` are attributes of `AuditItem` by name; `actor` is `person` by default, and `request_id`
    and `requester` are those of the current request. The keys of one process's events sort in the
    order of creation, even within one second.
    """
    at = f"{now * 1000:013d}-{next(_sequence) & 0xFFFF_FFFF:08x}{secrets.token_hex(8)}"
    sender = origin.current()
    facts = {
        "actor": "person",
        "request_id": sender.request_id,
        "requester": sender.requester,
        **facts,
    }
    # Events of a test firm are not among those of the day.
    day = None if is_test_firm(login) else day_of(now, facts["actor"])
    item = AuditItem(login, at, event=event, day=day, expires_at=now + _retention)
    for name, value in facts.items():
        setattr(item, name, value)
    return item


def record(item: AuditItem) -> None:
    """Write an item that no transaction writes. Raises Unavailable."""
    with translate_errors():
        item.save()


def roll_up(login: str, event: str, now: int) -> None:
    """Count a refusal in the item of its login, event, requester and day, by one UpdateItem.

    `now` in epoch seconds; the day is one of UTC. Raises Unavailable.
    """
    update(*rolled_up(login, event, now))


def rolled_up(login: str, event: str, now: int) -> tuple[AuditItem, list[Action]]:
    """Return the item that counts a refusal and the actions that count it, as `roll_up` does."""
    sender = origin.current()
    requester = sender.requester or "unknown"
    actions: list[Action] = [
        AuditItem.day.set(day_of(now, "person")),
        AuditItem.event.set(event),
        AuditItem.actor.set("person"),
        AuditItem.requester.set(requester),
        AuditItem.occurrences.add(1),
        AuditItem.first_at.set(AuditItem.first_at | now),
        AuditItem.last_at.set(now),
        AuditItem.expires_at.set(now + _retention),
    ]
    if sender.request_id is not None:
        actions.append(AuditItem.request_id.set(sender.request_id))
    day = now // DAY * DAY
    return AuditItem(login, f"{day * 1000:013d}-{event}-{requester}"), actions


def taken_back(login: str, event: str, now: int) -> tuple[AuditItem, list[Action]]:
    """Return the item that counted a refusal in this request and the actions that uncount it.

    The time and the request of the last one stay. An item without occurrences means nothing.
    """
    item, _ = rolled_up(login, event, now)
    return item, [AuditItem.occurrences.add(-1)]


def day_of(now: int, actor: str | None) -> str:
    """Return the key of an event in the index by day; `now` in epoch seconds.

    The day is one of Beijing. People's events and those of the staff, at the desk or by an AWS
    identity, have different keys: the staff's are few and are read for reviews.
    """
    day = (datetime.fromtimestamp(now, UTC) + _BEIJING).date().isoformat()
    is_staff = actor is not None and actor.startswith((ACTOR, "arn:"))
    return f"{STAFF_DAY}{day}" if is_staff else day


def time_of(item: AuditItem) -> int:
    """Return the time of the event in epoch seconds; of refusals that of the last one."""
    if item.last_at is not None:
        return int(item.last_at)
    return int(item.at[:13]) // 1000


def gateway_of(login: str, at: str) -> str | None:
    """Return the gateway of the send with the key `at`, or None. Raises Unavailable."""
    with translate_errors():
        sends = AuditItem.query(login, AuditItem.at == at, consistent_read=True)
        return next((send.gateway for send in sends), None)


def settle_send(login: str, at: str, **facts: str | None) -> None:
    """Store on a send's item what its gateway answered: the facts that are not empty, at least one.

    Raises ConditionFailed if the item does not exist, Unavailable.
    """
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
    """Store a vendor's delivery receipt on the send with the key `at`.

    A receipt may arrive before the answer that contains the message's id, so a send without an id
    accepts it. Receipts arrive in any order, so a failure never replaces a delivery. Returns False
    if the send has another message's id or is already delivered. Raises Unavailable.
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
    """Store which send a message belongs to, for receipts that contain only the message's id.

    `at` is the key of the send's audit item, `now` in epoch seconds. Raises Unavailable.
    """
    item = MessageItem(_message_key(gateway, message_id))
    actions: list[Action] = [
        MessageItem.login.set(login),
        MessageItem.send.set(at),
        MessageItem.expires_at.set(now + _MESSAGE_RETENTION),
    ]
    update(item, actions)


def message_of(gateway: str, message_id: str) -> tuple[str, str] | None:
    """Return the login and the send's key from `name_message`, or None. Raises Unavailable."""
    item = read(MessageItem, _message_key(gateway, message_id))
    return None if item is None else (item.login, item.send)


def _message_key(gateway: str, message_id: str) -> str:
    return f"message#{gateway}#{message_id}"


def add_wechat_receipt(
    login: str, at: str, message_id: str | None, receipt: str, reason: str | None, event_time: int
) -> bool:
    """Store WeChat's event about a template message on the send with the key `at`.

    `event_time` is WeChat's CreateTime, epoch seconds. The event may arrive before the answer that
    contains the message's id, and that answer may be lost; so a send without an id accepts an event
    of about its own time. `message_id` is None where `at` itself is from the event's client_msg_id.
    Returns False if the send is of another message. Raises Unavailable.
    """
    condition = AuditItem.gateway == "wechat-template"
    if message_id is not None:
        has_this_id = AuditItem.message_id == message_id
        near = abs(event_time - int(at[:13]) // 1000) <= _LONGEST_EVENT_DELAY
        condition &= (has_this_id | AuditItem.message_id.does_not_exist()) if near else has_this_id
    facts = {"receipt": receipt, "reason": reason, "message_id": message_id}
    try:
        _settle(login, at, facts, condition)
    except ConditionFailed:
        return False
    return True


def named_send(login: str, message_id: str, since: int) -> str | None:
    """Return the key of the login's last send with this message id, or None.

    Only sends from `since` on, epoch seconds, are searched. Raises Unavailable.
    """
    with translate_errors():
        sends = list(
            AuditItem.query(
                login,
                AuditItem.at >= f"{since * 1000:013d}",
                filter_condition=AuditItem.message_id == message_id,
            )
        )
    return str(sends[-1].at) if sends else None


def client_msg_id(at: str) -> str:
    """Return the id that the template message of the send with the key `at` has at WeChat."""
    return at.replace("-", "")[:_CLIENT_MSG_ID_LENGTH]


def send_with_client_msg_id(login: str, given: str) -> str | None:
    """Return the key of the login's send whose `client_msg_id` is `given`, or None.

    Raises Unavailable.
    """
    if not _CLIENT_MSG_ID.fullmatch(given):
        return None
    with translate_errors():
        sends = AuditItem.query(login, AuditItem.at.startswith(f"{given[:13]}-{given[13:]}"))
        return next((str(send.at) for send in sends), None)


def _settle(login: str, at: str, facts: Mapping[str, str | None], condition: Condition) -> None:
    actions = [getattr(AuditItem, name).set(value) for name, value in facts.items() if value]
    update(AuditItem(login, at), actions, condition)
