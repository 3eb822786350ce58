"""The tables. `infra/deploy/resources.yaml` declares them for AWS and for the local stack.

Items of `firms`, `logins`, `followers`, `audit` and `runs` have no TTL; items of `ephemera`, and
proposals in `desk`, have the TTL attribute `expires_at`, epoch seconds. DynamoDB may delete an expired item days late, so no
rule relies on the deletion: every read and every condition compares times itself. Times are epoch
seconds unless stated otherwise, and lists of times are newest first.
"""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from .connection import Connection
from .desk_models import DeskItem, ProposalItem
from .pynamodb_internals import share_connection


class _Meta:
    table_name = ""


def _times() -> ListAttribute[int]:
    # pynamodb accepts any attribute class here; its annotation only allows maps.
    return ListAttribute(of=NumberAttribute, null=True)  # type: ignore[arg-type]


def _texts() -> ListAttribute[str]:
    return ListAttribute(of=UnicodeAttribute, null=True)  # type: ignore[arg-type]


def _map() -> MapAttribute[str, Any]:
    # pynamodb does not annotate the constructor.
    return MapAttribute(null=True)  # type: ignore[no-untyped-call]


def plain_map(attribute: MapAttribute[str, Any] | None) -> dict[str, Any]:
    """Return an item's map attribute as a dictionary; empty if missing."""
    if attribute is None:
        return {}
    entries: dict[str, Any] = attribute.as_dict()  # type: ignore[no-untyped-call]
    return entries


class FirmItem(Model):
    """A firm as registered by the association, written by enrolment only.

    Key: `firm_no`. No TTL. The other attributes are those of `domain.firms.FirmFacts`.
    """

    class Meta(_Meta):
        table_name = "firms"

    firm_no = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    province = UnicodeAttribute()
    approval_no = UnicodeAttribute()
    head_name = UnicodeAttribute()
    head_id_last4 = UnicodeAttribute()


class LoginsByOpenid(GlobalSecondaryIndex["LoginItem"]):  # type: ignore[no-untyped-call]
    """The logins that a WeChat is bound to; a moment behind the table."""

    class Meta:
        index_name = "by-openid"
        projection = KeysOnlyProjection()

    openid = UnicodeAttribute(hash_key=True)


class LoginItem(Model):
    """One login account of a firm.

    Key: `login`, the firm's number, with the suffix `_cw` for the finance account. No TTL.
    `province` and `head_id_last4` are copies of the firm's, so that the one write that starts a
    recovery returns everything its steps need.
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
    starts = _times()
    """Times of recoveries started."""
    starts_by = _map()
    """Times of recoveries started, by requester. Enrolment creates the map empty."""
    proofs = ListAttribute[str](of=UnicodeAttribute, null=True)  # type: ignore[arg-type]
    """Ids of the proofs of work used for this login, newest first."""
    failures = _times()
    """Times of wrong passwords at /credentials/verify."""


class FollowerItem(Model):
    """Whether an openid follows the Official Account.

    Key: `openid`. No TTL. Without an item, no event of the openid has been received.
    """

    class Meta(_Meta):
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


class AuditItem(Model):
    """An event of a login: what, by whom, with which outcome. Never contains a secret.

    Key: `login` and `at`. No TTL, since MLPS level 3 requires half a year. An event of no login has
    its actor as the key.
    """

    class Meta(_Meta):
        table_name = "audit"

    login = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)
    """Epoch milliseconds in 13 digits, `-`, the number of the event in its process in 8 hexadecimal
    digits, and 16 random ones, so that keys sort by time. Of refusals the start of their day, the
    kind and the requester."""
    day = UnicodeAttribute(null=True)
    """The event's day in Beijing, `2027-01-01`; of acts of the staff `staff#2027-01-01`."""
    by_day = AuditByDay()
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

    class Meta(_Meta):
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


class Ephemeron(Model):
    """Base of the items that expire.

    Key: `id`; its prefix up to the first `#` is the kind of the item. TTL: `expires_at`.
    """

    class Meta(_Meta):
        table_name = "ephemera"

    id = UnicodeAttribute(hash_key=True)
    expires_at = NumberAttribute()


class CodeItem(Ephemeron):
    """A login's one live code with its attempts, and the login's counts of the day.

    Key: `code#LOGIN`. TTL: a day after the last write. A requester is in maps and lists by
    `domain.requester.Requester.key`. The attributes `previous_…` are those of the code before, which
    is live again if the present one turns out not to have been sent.
    """

    digest = UnicodeAttribute(null=True)
    """Digest of the live code (`domain.codes.digest`); missing or empty without one."""
    method = UnicodeAttribute(null=True)
    code_expires_at = NumberAttribute(null=True)
    tries = _map()
    """The number of attempts by requester."""
    send = UnicodeAttribute(null=True)
    """The `at` of the audit item of the send that carried this code."""
    sealed = UnicodeAttribute(null=True)
    """The encrypted code, only if the person may fetch it through WeChat."""
    sender = UnicodeAttribute(null=True)
    """The requester that the code was sent for."""
    destination = UnicodeAttribute(null=True)
    """The key of the item of the phone or openid that it was sent to."""
    previous_digest = UnicodeAttribute(null=True)
    previous_method = UnicodeAttribute(null=True)
    previous_code_expires_at = NumberAttribute(null=True)
    previous_tries = _map()
    previous_send = UnicodeAttribute(null=True)
    previous_sealed = UnicodeAttribute(null=True)
    previous_sender = UnicodeAttribute(null=True)
    previous_destination = UnicodeAttribute(null=True)
    used_digest = UnicodeAttribute(null=True)
    used_by = UnicodeAttribute(null=True)
    """The recovery that used the last code, so that its retry gets the same response."""
    sends = _times()
    """Times of codes sent for the login."""
    senders = _texts()
    """The requester of each of `sends`."""
    wrongs = _times()
    """Times of wrong codes of all requesters, except those of the WeChat that the code went to."""
    wrong_by = _map()
    """The times of wrong codes by requester."""
    details_by = _map()
    """Times of attempts at the unbinding details, by requester."""
    unbindings = _times()
    """Times of unbindings with the right details."""


class RequesterItem(Ephemeron):
    """What one requester did with all logins in a day.

    Key: `requester#` and `domain.requester.Requester.key`. TTL: a day after the last write.
    """

    wrongs = _times()
    """Times of wrong codes."""
    sends = _times()
    """Times of codes sent."""
    sent_logins = _texts()
    """The login of each of `sends`."""


class DestinationItem(Ephemeron):
    """The codes sent to one phone or openid, for all logins that share it.

    Key: `to#` and a keyed digest of method and destination (`Codes.destination_id`). TTL: a day
    after the last send.
    """

    sends = _times()
    login = UnicodeAttribute(null=True)
    """The login of the last code."""
    send = UnicodeAttribute(null=True)
    """The `at` of the audit item of the last code, which receipts refer to."""
    logins = UnicodeSetAttribute(null=True)
    """Of an openid: the logins whose codes it may fetch."""


class BudgetItem(Ephemeron):
    """The service-wide count of one budget in one clock hour.

    Key: `budget#NAME#HOUR`, where HOUR is epoch seconds divided by 3,600. TTL: an hour after its
    end.
    """

    total = NumberAttribute(default=0)


class UnbinderItem(Ephemeron):
    """What one requester did to bindings, over all logins.

    Key: `unbinder#` and the requester's key. TTL: a day after the last write.
    """

    unbindings = _times()
    """Times of unbindings."""
    login = UnicodeAttribute(null=True)
    """The login of the last one."""
    wrong_at = NumberAttribute(null=True)
    """When the requester last entered wrong details."""


class OnceItem(Ephemeron):
    """A value that may be used once and has been used.

    Key: `proof#…`. TTL: the value's own lifetime, a day at most.
    """


class OAuthExchangeItem(Ephemeron):
    """The exchange of an OAuth code, and its result for repeats of the request.

    Key: `oauth#` and the state. TTL: ten minutes after the exchange began.
    """

    holder = UnicodeAttribute(null=True)
    """The request that exchanges the code; missing after a failure."""
    leased_until = NumberAttribute(null=True)
    """When another request may exchange the code, if there is no result by then."""
    sealed = UnicodeAttribute(null=True)
    """The encrypted openid, empty if WeChat identified no person; missing before the end."""


class ScanItem(Ephemeron):
    """How far the phone is that scanned the QR code of a page.

    Key: `scan#LOGIN#PAGE`, with the page's name in the scene. TTL: that of a recovery.
    """

    stage = NumberAttribute(null=True)
    """An index of `scan_progress.STATES`; it only grows."""
    recovery = UnicodeAttribute(null=True)
    """Id of the phone's recovery that a code was sent for."""


class SeenItem(Ephemeron):
    """The encrypted answer to a message of WeChat, for repeats of the message.

    Key: `seen#` and the key that all deliveries of a message share. TTL: `message_dedup.KEPT`.
    """

    answer = UnicodeAttribute(null=True)


class IdentityItem(Ephemeron):
    """The wrong identity checks of a firm or of a member of the staff, or a check that matched.

    Key: `identity#FIRM`, `identity-by#SUBJECT`, or `identity-ok#FIRM#SUBJECT`. TTL: a day, of a match
    an hour.
    """

    wrongs = _times()
    """Times of checks, each counted as wrong until it has matched."""


class MessageItem(Ephemeron):
    """The send that a vendor's message belongs to, for its receipt.

    Key: `message#GATEWAY#ID`. TTL: four days, longer than vendors attempt a delivery.
    """

    login = UnicodeAttribute()
    send = UnicodeAttribute()
    """The `at` of the send's audit item."""


class AccessTokenItem(Ephemeron):
    """WeChat's access token and the lease for its renewal.

    Key: `wechat-token#APPID`. TTL: a day after the last lease, longer than a token is valid.
    """

    sealed = UnicodeAttribute(null=True)
    """The encrypted token."""
    renew_at = NumberAttribute(null=True)
    ends_at = NumberAttribute(null=True)
    leased_until = NumberAttribute(null=True)
    """End of the lease of the instance that renews the token."""


DURABLE: tuple[type[Model], ...] = (
    FirmItem,
    LoginItem,
    FollowerItem,
    AuditItem,
    RunItem,
    DeskItem,
    ProposalItem,
)
EPHEMERA: tuple[type[Model], ...] = (
    Ephemeron,
    CodeItem,
    RequesterItem,
    DestinationItem,
    BudgetItem,
    UnbinderItem,
    OnceItem,
    OAuthExchangeItem,
    ScanItem,
    SeenItem,
    IdentityItem,
    MessageItem,
    AccessTokenItem,
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
