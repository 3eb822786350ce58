"""The tables. `infra/deploy/resources.yaml` declares them for AWS and for the local stack.

Items of `followers` and `runs` have no TTL. Items of `ephemera` and `audit`, proposals in `desk`, and of
a closed firm its items in `firms`, `logins` and `desk`, have the TTL attribute `expires_at`, epoch seconds.
DynamoDB may delete an expired item days late, so no rule relies on the deletion: every read and every
condition compares times itself. Times are epoch seconds unless stated otherwise, and lists of times are
newest first. Items of the classes on `Shaped` have a versioned shape.
"""

from __future__ import annotations

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from .attributes import mapping, times
from .connection import Connection
from .desk_models import DeskItem, ProposalItem
from .ephemeral_models import EPHEMERA
from .pynamodb_internals import share_connection
from .shapes import Shaped


class FirmItem(Shaped):
    """A firm as registered by the association, written by enrolment.

    Key: `firm_no`. TTL: of a closed firm alone. The attributes up to `head_id_last4` are those of
    `domain.firms.FirmFacts`.
    """

    class Meta:
        table_name = "firms"

    firm_no = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    province = UnicodeAttribute()
    approval_no = UnicodeAttribute()
    head_name = UnicodeAttribute()
    head_id_last4 = UnicodeAttribute()
    closed_at = NumberAttribute(null=True)
    """When the firm was closed; missing where it is not."""
    expires_at = NumberAttribute(null=True)
    """When the item of a closed firm is erased."""


class LoginsByOpenid(GlobalSecondaryIndex["LoginItem"]):  # type: ignore[no-untyped-call]
    """The logins that a WeChat is bound to; a moment behind the table."""

    class Meta:
        index_name = "by-openid"
        projection = KeysOnlyProjection()

    openid = UnicodeAttribute(hash_key=True)


class LoginItem(Shaped):
    """One login account of a firm.

    Key: `login`, the firm's number, with the suffix `_cw` for the finance account. TTL: of a closed
    firm alone.
    `province` and `head_id_last4` are copies of the firm's, so that the one write that starts a
    recovery returns everything its steps need.
    """

    class Meta:
        table_name = "logins"

    login = UnicodeAttribute(hash_key=True)
    firm_no = UnicodeAttribute()
    province = UnicodeAttribute(null=True)
    head_id_last4 = UnicodeAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    """E.164."""
    openid = UnicodeAttribute(null=True)
    """The bound WeChat, by the Official Account's openid."""
    by_openid = LoginsByOpenid()
    bound_at = NumberAttribute(null=True)
    password_hash = UnicodeAttribute(null=True)
    password_version = NumberAttribute(default=0)
    """Incremented with every new password, which ends the recoveries that began before."""
    recovery_epoch = NumberAttribute(default=0)
    """Incremented with every operator's change of phone or binding, which ends open recoveries."""
    changed_at = NumberAttribute(default=0)
    """When the password was last set, by whatever means."""
    recovered_at = NumberAttribute(null=True)
    """When the password was last set by a recovery, not by a yearly reset or an import."""
    must_change = BooleanAttribute(default=False)
    """Whether the login system must require a new password after the next login."""
    reset_year = NumberAttribute(null=True)
    """The year of the last yearly reset of this login."""
    frozen_at = NumberAttribute(null=True)
    """When the login was frozen; missing where it is not."""
    unfrozen_at = NumberAttribute(null=True)
    """When a freezing of the login was last ended; links of earlier notices freeze it no more."""
    closed_at = NumberAttribute(null=True)
    """When the firm was closed; missing where it is not."""
    expires_at = NumberAttribute(null=True)
    """When the login of a closed firm is erased."""
    starts = times()
    """Times of recoveries started."""
    starts_by = mapping()
    """Times of recoveries started, by requester. Enrolment creates the map empty."""
    proofs = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Ids of the proofs of work used for this login, newest first."""
    failures = times()
    """Times of wrong passwords at /credentials/verify."""


class FollowerItem(Shaped):
    """Whether an openid follows the Official Account.

    Key: `openid`. No TTL. Without an item, no event of the openid has been received.
    """

    class Meta:
        table_name = "followers"

    openid = UnicodeAttribute(hash_key=True)
    following = BooleanAttribute()
    since = NumberAttribute()
    """WeChat's CreateTime of the stored event; an older event never replaces a newer one."""


class AuditByDay(GlobalSecondaryIndex["AuditItem"]):  # type: ignore[no-untyped-call]
    """The events of a day over all logins, those of the staff apart; a moment behind the table."""

    class Meta:
        index_name = "by-day"
        projection = AllProjection()

    day = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class AuditItem(Shaped):
    """An event of a login: what, by whom, with which outcome. Never contains a secret.

    Key: `login` and `at`. TTL: AUDIT_RETENTION_DAYS; items of before that setting have none. An event of
    no login has its actor as the key.
    """

    class Meta:
        table_name = "audit"

    login = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)
    """Epoch milliseconds in 13 digits, `-`, the number of the event in its process in 8 hexadecimal
    digits, and 16 random ones, so that keys sort by time. Of refusals the start of their day, the
    kind and the requester."""
    day = UnicodeAttribute(null=True)
    """The event's day in Beijing, `2027-01-01`; of acts of the staff `staff#2027-01-01`."""
    by_day = AuditByDay()
    expires_at = NumberAttribute(null=True)
    event = UnicodeAttribute()
    """Name of the event, such as `code-sent`."""
    actor = UnicodeAttribute()
    """`person`, `yearly-reset`, an operator's AWS identity, or `staff:` and a subject."""
    about = UnicodeAttribute(null=True)
    """Of a look of the staff, whose key is the actor: the login that was seen. Looks are not among the
    login's own events, of which they would hide the last sends."""
    method = UnicodeAttribute(null=True)
    destination = UnicodeAttribute(null=True)
    """Masked."""
    gateway = UnicodeAttribute(null=True)
    outcome = UnicodeAttribute(null=True)
    message_id = UnicodeAttribute(null=True)
    """The gateway's id of the message."""
    receipt = UnicodeAttribute(null=True)
    """Outcome of the delivery as the vendor reported it."""
    reason = UnicodeAttribute(null=True)
    request_id = UnicodeAttribute(null=True)
    """The correlation id of the request, as in the log lines; of an operator's command its own."""
    requester = UnicodeAttribute(null=True)
    """The keyed digest of the visitor; missing where no visitor sent the request."""
    occurrences = NumberAttribute(null=True)
    """How many refusals of one kind, requester and day the item stands for; missing elsewhere."""
    first_at = NumberAttribute(null=True)
    """The time of the first one."""
    last_at = NumberAttribute(null=True)
    """The time of the last one, whose request `request_id` is."""


class RunItem(Model):
    """A yearly reset, or one chunk of its logins.

    Key: `year` and `part`, which is `run` for the reset itself, else `chunk#` and eight digits. No
    TTL. An attribute is of the reset itself unless it is marked as of a chunk.
    """

    class Meta:
        table_name = "runs"

    year = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    started_at = NumberAttribute(null=True)
    started_by = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    """The operator's reason to start the run; none of the schedule's runs has one."""
    resumed_at = NumberAttribute(null=True)
    """When an operator last started the run again."""
    resumed_by = UnicodeAttribute(null=True)
    resumed_reason = UnicodeAttribute(null=True)
    cursor = UnicodeAttribute(null=True)
    """The last login that is in a chunk; planning continues after it."""
    planned = BooleanAttribute(null=True)
    """Whether every login is in a chunk."""
    chunks = NumberAttribute(null=True)
    finished_chunks = NumberAttribute(null=True)
    ended_at = NumberAttribute(null=True)
    notify_lease_until = NumberAttribute(null=True)
    """End of the lease of the worker that notifies operators."""
    told_at = NumberAttribute(null=True)
    """When operators were notified of the end."""
    members = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Of a chunk: its logins, in order."""
    finished = BooleanAttribute(null=True)
    """Of a chunk: whether it has been processed and counted."""
    notes = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Of a chunk: `LOGIN OUTCOME REASON` of each member whose password was not set."""
    logins = NumberAttribute(null=True)
    done = NumberAttribute(null=True)
    skipped = NumberAttribute(null=True)
    failed = NumberAttribute(null=True)


DURABLE: tuple[type[Model], ...] = (
    FirmItem,
    LoginItem,
    FollowerItem,
    AuditItem,
    RunItem,
    DeskItem,
    ProposalItem,
)


def bind(prefix: str) -> None:
    """Bind every model to its table, named `PREFIX-KIND`, over one new connection.

    The connection's client is made at once, without a call over the network.
    """
    connection = Connection()
    for model in (*DURABLE, *EPHEMERA):
        kind = model.Meta.table_name.rpartition("-")[2]
        model.Meta.table_name = f"{prefix}-{kind}"
    share_connection(connection, (*DURABLE, *EPHEMERA))
    connection.prepare()
