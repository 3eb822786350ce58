"""The models of the table `ephemera`, whose items expire."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.models import Model

from .attributes import mapping, texts, times


class Ephemeron(Model):
    """Base of the items that expire.

    Key: `id`; its prefix up to the first `#` is the kind of the item. TTL: `expires_at`.
    """

    class Meta:
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
    tries = mapping()
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
    previous_tries = mapping()
    previous_send = UnicodeAttribute(null=True)
    previous_sealed = UnicodeAttribute(null=True)
    previous_sender = UnicodeAttribute(null=True)
    previous_destination = UnicodeAttribute(null=True)
    used_digest = UnicodeAttribute(null=True)
    used_by = UnicodeAttribute(null=True)
    """The recovery that used the last code, so that its retry gets the same response."""
    sends = times()
    """Times of codes sent for the login."""
    senders = texts()
    """The requester of each of `sends`."""
    wrongs = times()
    """Times of wrong codes of all requesters, except those of the WeChat that the code went to."""
    wrong_by = mapping()
    """The times of wrong codes by requester."""
    details_by = mapping()
    """Times of attempts at the unbinding details, by requester."""
    unbindings = times()
    """Times of unbindings with the right details."""


class RequesterItem(Ephemeron):
    """What one requester did with all logins in a day.

    Key: `requester#` and `domain.requester.Requester.key`. TTL: a day after the last write.
    """

    wrongs = times()
    """Times of wrong codes."""
    sends = times()
    """Times of codes sent."""
    sent_logins = texts()
    """The login of each of `sends`."""


class DestinationItem(Ephemeron):
    """The codes sent to one phone or openid, for all logins that share it.

    Key: `to#` and a keyed digest of method and destination (`Codes.destination_id`). TTL: a day
    after the last send.
    """

    sends = times()
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

    unbindings = times()
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

    wrongs = times()
    """Times of checks, each counted as wrong until it has matched."""


class MessageItem(Ephemeron):
    """The send that a vendor's message belongs to, for its receipt.

    Key: `message#GATEWAY#ID`. TTL: four days, longer than vendors attempt a delivery.
    """

    login = UnicodeAttribute()
    send = UnicodeAttribute()
    """The `at` of the send's audit item."""


class MailboxItem(Ephemeron):
    """The code that was sent to the test firm last, for the canary.

    Key: `canary#` and the login. TTL: that of a code.
    """

    sealed = UnicodeAttribute(null=True)
    """The encrypted code."""


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
    MailboxItem,
    AccessTokenItem,
)
