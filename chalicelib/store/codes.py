"""The one live code of a login: reserved, cancelled, attempted, used.

Each login has one expiring item with its code, the code's attempts and the day's counts; each
destination has one with the times of its codes. Counting always precedes comparing and sending.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any, NamedTuple

from ..domain.errors import (
    CodeExpired,
    RecoveryExpired,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.limits import DAY, Limits, retry_after
from . import audit
from .code_updates import (
    END_CODE,
    METHODS,
    change_login,
    check_login,
    count_attempt,
    count_send,
    new_code,
    refund_attempt,
    use_code,
)
from .dynamo import (
    ConditionFailed,
    raw_list,
    raw_number,
    raw_text,
    read,
    run,
    transact,
    update,
)
from .models import AuditItem, CodeItem, DestinationItem
from .pynamodb_internals import Transaction

log = logging.getLogger(__name__)


class Destination(NamedTuple):
    """Where a login's codes go. Writes require that it still applies to the login."""

    method: str
    """`sms` or `wechat`."""
    address: str
    """The phone in E.164, or the openid."""
    version: int
    """The login's password version."""
    epoch: int
    """The login's recovery epoch."""

    @property
    def values(self) -> dict[str, Any]:
        """Values of the parameters of `code_updates.login_unchanged`."""
        return {"destination": self.address, "version": self.version, "epoch": self.epoch}


class ConsumedAttempt(NamedTuple):
    """An attempt that has been counted, with the digest to compare the code with."""

    digest: str
    """Digest of the live code, as `domain.codes.digest` returns it."""
    method: str
    """`sms` or `wechat`: how the code was sent."""
    attempts_left: int
    """Attempts that remain after this one."""


class UsedCode(NamedTuple):
    """The last code of a login, which has been used."""

    digest: str
    recovery: str
    """Id of the recovery that used it."""


class Codes:
    """The codes of all logins and the counts that limit them."""

    def __init__(self, limits: Limits, pepper: bytes) -> None:
        """Prepare the updates; `pepper` keys the digests of phones and openids in item keys."""
        self._limits = limits
        self._pepper = pepper
        both = (True, False)
        self._new_code = {sealing: new_code(limits, sealing=sealing) for sealing in both}
        self._count_send = {sealing: count_send(limits, sealing=sealing) for sealing in both}
        self._check_login = {method: check_login(method) for method in METHODS}
        self._count_attempt = count_attempt(limits)
        self._refund_attempt = refund_attempt()
        self._use_code = use_code()
        self._change_login = {
            (method, binding): change_login(method, binding=binding)
            for method in METHODS
            for binding in both
        }

    def destination_id(self, method: str, destination: str) -> str:
        """Return the key of the item that counts the sends to a phone or an openid."""
        name = f"{method}\0{destination}".encode()
        return "to#" + hmac.new(self._pepper, name, hashlib.sha256).hexdigest()

    def reserve(
        self,
        login: str,
        destination: Destination,
        digest: str,
        sealed: str | None,
        send: AuditItem,
        now: int,
    ) -> None:
        """Make a new code the live one and count its send in one transaction, before it is sent.

        `digest` is the code's digest; `sealed` is the encrypted code if the person fetches it, or
        None; `send` is the item from `new_send`; `now` in epoch seconds. Raises TooManyRequests or
        TooManyAttempts with the seconds to wait, RecoveryExpired if the login has changed since the
        recovery began, Unavailable.
        """
        sealing = sealed is not None
        values = {
            "now": now,
            "method": destination.method,
            "login": login,
            "logins": {login},
            "digest": digest,
            "send": send.at,
            "sealed": sealed,
        }

        def build(transaction: Transaction) -> None:
            check = self._check_login[destination.method]
            transaction.add_check(check.request(login, destination.values))
            transaction.save(send)
            code = self._new_code[sealing]
            transaction.add_update(code.request(f"code#{login}", values))
            key = self.destination_id(destination.method, destination.address)
            transaction.add_update(self._count_send[sealing].request(key, values))

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            raise self._send_refusal(refused, now) from None

    def _send_refusal(self, refused: ConditionFailed, now: int) -> ServiceError:
        limits = self._limits
        if refused.failed[0]:
            return RecoveryExpired()
        _, _, code, destination = refused.items
        wrong = retry_after(raw_list(code, "wrongs"), limits.wrong_codes_per_login, now)
        if wrong:
            return TooManyAttempts(wrong, "wrong-codes")
        by_login = retry_after(raw_list(code, "sends"), limits.sends_per_login, now)
        by_destination = retry_after(
            raw_list(destination, "sends"), limits.sends_per_destination, now
        )
        return TooManyRequests(
            max(1, by_login, by_destination),
            "login-sends" if by_login > by_destination else "destination-sends",
        )

    def cancel_send(
        self, login: str, destination: Destination, send: AuditItem, now: int, reason: str
    ) -> None:
        """Remove a reserved send from the counts, so that the person may try again at once.

        `now` is the time of the reservation, epoch seconds; `reason` goes to the audit trail, by a
        write of its own. Best effort: after a failure the counts stay until they leave their
        windows.
        """
        try:
            self._uncount_send(login, destination, send, now)
            audit.settle_send(login, send.at, outcome="failed", reason=reason)
        except (ConditionFailed, ServiceError) as error:
            log.warning("a send could not be cancelled: %s", type(error).__name__)

    def _uncount_send(
        self, login: str, destination: Destination, send: AuditItem, now: int
    ) -> None:
        """End the code of a send and remove the send from the counts that still have it."""
        code = CodeItem(f"code#{login}")
        end_code = [*END_CODE, CodeItem.sends[0].remove()]
        is_its_code = CodeItem.send == send.at

        def build(transaction: Transaction) -> None:
            transaction.update(code, end_code, is_its_code)
            # A newer entry at the front is another send, at least the resend interval later.
            transaction.update(
                DestinationItem(self.destination_id(destination.method, destination.address)),
                [DestinationItem.sends[0].remove()],
                DestinationItem.sends[0] == now,
            )

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            if not refused.failed[0]:
                # An operator has cleared the destination's counts meanwhile; the code must still end.
                update(code, end_code, is_its_code)

    def consume_attempt(self, login: str, now: int) -> ConsumedAttempt | UsedCode:
        """Count one attempt on the live code by one UpdateItem and return the digest to compare.

        `now` in epoch seconds. Returns UsedCode, without counting, if the last code has been used.
        Raises CodeExpired without a live code, TooManyAttempts if no attempt is left, Unavailable.
        """
        limits = self._limits
        try:
            item = run(self._count_attempt, f"code#{login}", {"now": now})
        except ConditionFailed as refused:
            raw = refused.items[0]
            digest, recovery = raw_text(raw, "used_digest"), raw_text(raw, "used_by")
            if raw_text(raw, "digest") is None and digest and recovery:
                return UsedCode(digest, recovery)
            raise self._attempt_refusal(refused, now) from None
        wrong_today = sum(at > now - DAY for at in item.wrongs)
        return ConsumedAttempt(
            digest=item.digest,
            method=item.method,
            attempts_left=max(
                0,
                min(
                    limits.tries_per_code - int(item.attempts),
                    limits.wrong_codes_per_login_day - wrong_today,
                ),
            ),
        )

    def _attempt_refusal(self, refused: ConditionFailed, now: int) -> ServiceError:
        item = refused.items[0]
        wait = retry_after(raw_list(item, "wrongs"), self._limits.wrong_codes_per_login, now)
        if wait:
            return TooManyAttempts(wait, "wrong-codes")
        live = (raw_number(item, "code_expires_at") or 0) > now
        if raw_text(item, "digest") is None or not live:
            return CodeExpired()
        return TooManyAttempts(None, "code-tries")

    def refund_attempt(self, login: str, destination: Destination, digest: str) -> None:
        """Remove the attempt of a right code from the counts and leave the code live.

        One transaction, so that a retry whose first response was lost refunds nothing twice.
        `digest` is that of the code which was compared. Raises CodeExpired if the code has been
        used or replaced meanwhile, RecoveryExpired if the login has changed since the recovery
        began, Unavailable; the attempt then stays counted.
        """

        def build(transaction: Transaction) -> None:
            check = self._check_login[destination.method]
            transaction.add_check(check.request(login, destination.values))
            refund = self._refund_attempt.request(f"code#{login}", {"digest": digest})
            transaction.add_update(refund)

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            raise (RecoveryExpired() if refused.failed[0] else CodeExpired()) from None

    def complete(
        self,
        login: str,
        destination: Destination,
        digest: str,
        recovery: str,
        password_hash: str,
        bind: str | None,
        event: AuditItem,
        now: int,
    ) -> None:
        """Use the code, set the password, bind the WeChat and write the event in one transaction.

        `digest` is that of the code which was compared; `recovery` the id of the recovery; `bind`
        the openid to bind, or None; `now` in epoch seconds. Raises CodeExpired if the code has been
        used or replaced meanwhile, RecoveryExpired if the login's password, phone or binding has
        changed since the recovery began, Unavailable.
        """
        values = {
            **destination.values,
            "now": now,
            "digest": digest,
            "recovery": recovery,
            "hash": password_hash,
            "bind": bind,
        }

        def build(transaction: Transaction) -> None:
            transaction.save(event)
            transaction.add_update(self._use_code.request(f"code#{login}", values))
            change = self._change_login[destination.method, bind is not None]
            transaction.add_update(change.request(login, values))

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            raise (CodeExpired() if refused.failed[1] else RecoveryExpired()) from None

    def is_live(self, login: str, now: int) -> bool:
        """Return whether the login has a code that has neither been used nor expired.

        `now` in epoch seconds. Raises Unavailable.
        """
        item = self._read(login)
        return item is not None and item.digest is not None and item.code_expires_at > now

    @staticmethod
    def _read(login: str) -> CodeItem | None:
        return read(CodeItem, f"code#{login}")


def new_send(
    login: str, destination: Destination, masked_destination: str, gateway: str, now: int
) -> AuditItem:
    """Return the audit item of a send, not yet written; `now` in epoch seconds.

    `gateway` is the first one that will be tried.
    """
    return audit.entry(
        login,
        "code-sent",
        now,
        method=destination.method,
        destination=masked_destination,
        gateway=gateway,
        outcome="handed-over",
    )
