"""The tables. `infra/deploy/resources.yaml` declares them for the cloud and for the local twin.

Firms, logins, followers, audit and runs last. Ephemera vanish: DynamoDB deletes an item some time
after its `expires_at` (epoch seconds), which may be days late, so nothing that matters relies on
the deletion; every read and every condition asks for the time itself.
"""

from __future__ import annotations

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from .connection import Connection
from .pynamodb_internals import share_connection


class _Meta:
    table_name = ""


def _times() -> ListAttribute[int]:
    # pynamodb takes any attribute class here, and its annotation knows maps alone.
    return ListAttribute(of=NumberAttribute, null=True)  # type: ignore[arg-type]


class FirmItem(Model):
    """A firm as the association registered it; written by enrolment alone."""

    class Meta(_Meta):
        table_name = "firms"

    firm_no = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    province = UnicodeAttribute()
    approval_no = UnicodeAttribute()
    head_name = UnicodeAttribute()
    head_id_last4 = UnicodeAttribute()


class LoginItem(Model):
    """One login account.

    `province` and `head_id_last4` are the firm's, repeated so that one write can start a recovery
    and hand back all that its steps need.
    """

    class Meta(_Meta):
        table_name = "logins"

    login = UnicodeAttribute(hash_key=True)
    firm_no = UnicodeAttribute()
    province = UnicodeAttribute(null=True)
    head_id_last4 = UnicodeAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    """E.164."""
    openid = UnicodeAttribute(null=True)
    bound_at = NumberAttribute(null=True)
    password_hash = UnicodeAttribute(null=True)
    password_version = NumberAttribute(default=0)
    """Grows with every new password; a recovery that saw an older one is over."""
    changed_at = NumberAttribute(default=0)
    recovered_at = NumberAttribute(null=True)
    """When a person last set the password by a recovery, as against a run or an import."""
    must_change = BooleanAttribute(default=False)
    reset_year = NumberAttribute(null=True)
    starts = _times()
    """Epoch seconds of recoveries started, newest first."""
    proofs = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Proofs of work used up on this login, newest first."""
    failures = _times()
    """Epoch seconds of wrong passwords at /credentials/verify, newest first."""


class FollowerItem(Model):
    """An openid and whether it follows the Official Account at present."""

    class Meta(_Meta):
        table_name = "followers"

    openid = UnicodeAttribute(hash_key=True)
    following = BooleanAttribute()
    since = NumberAttribute()
    """WeChat's CreateTime of the event that said so; an older event never undoes a newer one."""


class AuditItem(Model):
    """Something that happened to a login, by whom, and to what end. Never a secret."""

    class Meta(_Meta):
        table_name = "audit"

    login = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)
    """`epoch milliseconds, 13 digits` + `-` + the process's count of its events, 8 hexadecimal
    digits + a random part, so that the key sorts by time."""
    event = UnicodeAttribute()
    actor = UnicodeAttribute()
    method = UnicodeAttribute(null=True)
    destination = UnicodeAttribute(null=True)
    """Masked."""
    gateway = UnicodeAttribute(null=True)
    outcome = UnicodeAttribute(null=True)
    message_id = UnicodeAttribute(null=True)
    receipt = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)


class RunItem(Model):
    """A yearly reset (`part` is `run`), or one of its chunks (`chunk#NNNNNNNN`)."""

    class Meta(_Meta):
        table_name = "runs"

    year = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    started_at = NumberAttribute(null=True)
    started_by = UnicodeAttribute(null=True)
    cursor = UnicodeAttribute(null=True)
    """The last login that is in a chunk; planning goes on behind it."""
    planned = BooleanAttribute(null=True)
    """Whether every login is in a chunk."""
    chunks = NumberAttribute(null=True)
    finished_chunks = NumberAttribute(null=True)
    ended_at = NumberAttribute(null=True)
    notify_lease_until = NumberAttribute(null=True)
    """The end, in epoch seconds, of the time that one worker has for telling operators."""
    told_at = NumberAttribute(null=True)
    members = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Of a chunk: its logins."""
    finished = BooleanAttribute(null=True)
    notes = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Of a chunk: `LOGIN OUTCOME REASON` of each member whose password was not set."""
    logins = NumberAttribute(null=True)
    done = NumberAttribute(null=True)
    skipped = NumberAttribute(null=True)
    failed = NumberAttribute(null=True)


class Ephemeron(Model):
    """Base of what vanishes; the kinds share one table and are told apart by their ids' prefix."""

    class Meta(_Meta):
        table_name = "ephemera"

    id = UnicodeAttribute(hash_key=True)
    expires_at = NumberAttribute()


class CodeItem(Ephemeron):
    """`code#LOGIN`: the login's one live code, its attempts, and the login's counts of the day."""

    digest = UnicodeAttribute(null=True)
    method = UnicodeAttribute(null=True)
    code_expires_at = NumberAttribute(null=True)
    attempts = NumberAttribute(null=True)
    send = UnicodeAttribute(null=True)
    """The `at` of the audit item of the send that carried this code."""
    sealed = UnicodeAttribute(null=True)
    """The code itself, encrypted; only where the person may fetch it (WeChat)."""
    used_digest = UnicodeAttribute(null=True)
    used_by = UnicodeAttribute(null=True)
    """The recovery that used the last code up, so that its own repeat gets the same answer."""
    sends = _times()
    wrongs = _times()
    wrong_details = _times()


class DestinationItem(Ephemeron):
    """`to#DIGEST`: when codes went to a phone or an openid, whichever logins share it."""

    sends = _times()
    login = UnicodeAttribute(null=True)
    """The login of the last code."""
    send = UnicodeAttribute(null=True)
    """The `at` of the audit item of the last code, by which a receipt finds it."""
    logins = UnicodeSetAttribute(null=True)
    """Of an openid: the logins that codes went to it for, among which a fetched code is looked up."""


class BudgetItem(Ephemeron):
    """`budget#NAME#HOUR`: the service-wide count of one clock hour."""

    total = NumberAttribute(default=0)


class OnceItem(Ephemeron):
    """`state#…`, `proof#…`: a thing that may be used once and was."""


class SeenItem(Ephemeron):
    """`seen#KEY`: what a delivery of a message was answered, sealed, for its repeats."""

    answer = UnicodeAttribute(null=True)


class MessageItem(Ephemeron):
    """`message#GATEWAY#ID`: the send that a vendor's message carries."""

    login = UnicodeAttribute()
    send = UnicodeAttribute()
    """The `at` of the send's audit item."""


class AccessTokenItem(Ephemeron):
    """`wechat-token#APPID`: WeChat's access token, sealed, and whether somebody is renewing it."""

    sealed = UnicodeAttribute(null=True)
    renew_at = NumberAttribute(null=True)
    ends_at = NumberAttribute(null=True)
    leased_until = NumberAttribute(null=True)
    """The end, in epoch seconds, of the time that one instance has for renewing the token."""


DURABLE: tuple[type[Model], ...] = (FirmItem, LoginItem, FollowerItem, AuditItem, RunItem)
EPHEMERA: tuple[type[Model], ...] = (
    Ephemeron,
    CodeItem,
    DestinationItem,
    BudgetItem,
    OnceItem,
    SeenItem,
    MessageItem,
    AccessTokenItem,
)


def bind(prefix: str) -> None:
    """Bind every model to the tables `PREFIX-…`, over one new connection with its client made."""
    connection = Connection()
    for model in (*DURABLE, *EPHEMERA):
        kind = model.Meta.table_name.rpartition("-")[2]
        model.Meta.table_name = f"{prefix}-{kind}"
    share_connection(connection, (*DURABLE, *EPHEMERA))
    connection.prepare()
