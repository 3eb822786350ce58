"""The one live code of a login: attempted, used, looked up.

Each login has one expiring item with its code, the code's attempts and the day's counts; each requester
has one with the times of its sends and wrong codes, each destination one with the times of its codes.
Counting always precedes comparing and sending. `store.sends` makes the codes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple

from ..domain.errors import (
    CodeExpired,
    RecoveryExpired,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.limits import DAY, HOUR, Limits, Window, of_last_day, retry_after
from ..domain.requester import Requester
from . import audit
from .attributes import plain_map
from .code_updates import (
    METHODS,
    change_login,
    check_login,
    count_attempt,
    count_wrong,
    refund_attempt,
    uncount_wrong,
    use_code,
)
from .dynamo import (
    ConditionFailed,
    raw_list,
    raw_lists,
    raw_number,
    raw_text,
    raw_texts,
    read,
    run,
    transact,
)
from .ephemeral_models import CodeItem
from .models import AuditItem
from .prepared import Variants
from .pynamodb_internals import Transaction

CODE_WRONG = "code-wrong"
"""The audit's event of a wrong code."""


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
    """Attempts on this code that remain to this requester after this one."""
    requester: Requester
    is_owner: bool
    """Whether the requester is the WeChat that the code was sent to."""
    is_first_of_sender: bool
    """Whether it is the first attempt on the code by the requester that it was sent for."""
    is_recorded: bool = False
    """Whether `Codes.count_wrong` has already counted it as a wrong code of its requester."""


class LiveCode(NamedTuple):
    """The live code of a login, which was sent for the requester that asks for it."""

    method: str
    """`sms` or `wechat`."""
    to: str
    """The destination's key, as `Codes.destination_id` returns it."""
    expires_at: int
    """Epoch seconds."""
    attempts_left: int
    """Attempts on this code that remain to the requester."""
    send: str
    """The `at` of the audit item of its send."""


class UsedCode(NamedTuple):
    """The last code of a login, which has been used."""

    digest: str
    recovery: str
    """Id of the recovery that used it."""
    reason: str | None
    """Why the requester has no live code, for other recoveries; None where it may not be disclosed."""


class Codes:
    """The codes of all logins and the counts that limit them."""

    def __init__(self, limits: Limits, pepper: bytes) -> None:
        """Prepare the updates; `pepper` keys the digests of phones and openids in item keys."""
        self._limits = limits
        self._pepper = pepper
        self._count_attempt: Variants[tuple[bool, bool], CodeItem] = Variants(
            lambda of: count_attempt(limits, is_address=of[0], is_owner=of[1])
        )
        self._count_wrong = Variants(count_wrong)
        both = (True, False)
        self.check_login = {method: check_login(method) for method in METHODS}
        """Checks that a login is unchanged, by method."""
        self._refund_attempt = {is_owner: refund_attempt(is_owner=is_owner) for is_owner in both}
        self._use_code = {is_owner: use_code(is_owner=is_owner) for is_owner in both}
        self._uncount_wrong = uncount_wrong()
        self._change_login = {
            (method, binding): change_login(method, binding=binding)
            for method in METHODS
            for binding in both
        }

    def destination_id(self, method: str, destination: str) -> str:
        """Return the key of the item that counts the sends to a phone or an openid."""
        name = f"{method}\0{destination}".encode()
        return "to#" + hmac.new(self._pepper, name, hashlib.sha256).hexdigest()

    def consume_attempt(
        self, login: str, requester: Requester, openid: str | None, now: int
    ) -> ConsumedAttempt | UsedCode:
        """Count one attempt on the live code by one UpdateItem and return the digest to compare.

        `openid` is the requester's where the login's codes go to this very WeChat, else None; `now` in
        epoch seconds. Returns UsedCode, without counting, if the last code has been used. Raises
        CodeExpired without a live code, TooManyAttempts if no attempt is left to the requester,
        Unavailable.
        """
        is_owner = openid is not None
        values = {"now": now, "requester": requester.key}
        if openid is not None:
            values["to"] = self.destination_id("wechat", openid)
        try:
            count = self._count_attempt[requester.is_address, is_owner]
            item = run(count, f"code#{login}", values)
        except ConditionFailed as refused:
            raw = refused.items[0]
            digest, recovery = raw_text(raw, "used_digest"), raw_text(raw, "used_by")
            if not raw_text(raw, "digest") and digest and recovery:
                return UsedCode(digest, recovery, _own_reason(raw, requester))
            if is_owner and raw_text(raw, "destination") not in (None, "", values["to"]):
                # The WeChat has been unbound since the recovery began; the code went to the phone.
                return self.consume_attempt(login, requester, None, now)
            raise self._attempt_refusal(raw, requester, is_owner, now) from None
        return self._consumed(item, requester, is_owner, now)

    def _consumed(
        self, item: CodeItem, requester: Requester, is_owner: bool, now: int
    ) -> ConsumedAttempt:
        limits, is_address = self._limits, requester.is_address
        tries = int(item.tries[requester.key])
        (window,) = limits.wrong_codes_per_requester_login(is_address=is_address)
        left = [
            limits.of_requester(limits.tries_per_code, is_address=is_address) - tries,
            window.limit - len(of_last_day(item.wrong_by[requester.key], now)),
        ]
        if not is_owner:
            left.append(limits.wrong_codes_per_login_day - len(of_last_day(item.wrongs, now)))
        return ConsumedAttempt(
            digest=item.digest,
            method=item.method,
            attempts_left=max(0, min(left)),
            requester=requester,
            is_owner=is_owner,
            is_first_of_sender=tries == 1 and item.sender == requester.key,
        )

    def _attempt_refusal(
        self, item: dict[str, Any] | None, requester: Requester, is_owner: bool, now: int
    ) -> ServiceError:
        limits = self._limits
        windows = limits.wrong_codes_per_requester_login(is_address=requester.is_address)
        mine = raw_lists(item, "wrong_by").get(requester.key, [])
        wait = retry_after(mine, windows, now)
        if wait:
            return TooManyAttempts(wait, "wrong-codes")
        live = (raw_number(item, "code_expires_at") or 0) > now
        if raw_text(item, "digest") is None or not live:
            return CodeExpired(_own_reason(item, requester))
        if not is_owner:
            wait = retry_after(raw_list(item, "wrongs"), limits.wrong_codes_per_login, now)
            if wait:
                return TooManyAttempts(wait, "login-wrong-codes")
        return TooManyAttempts(None, "code-tries")

    def count_wrong(self, login: str, requester: Requester, now: int, *, is_strict: bool) -> None:
        """Count a wrong code of a requester before it is compared, and record it in the audit.

        One transaction; `now` in epoch seconds. `is_strict` permits none to a requester that had one in
        the last day. Raises TooManyAttempts or TooManyRequests, Unavailable.
        """
        windows = self._limits.wrong_codes_per_requester(is_address=requester.is_address)
        allowed = (Window(1, DAY),) if is_strict else windows
        try:
            transact(
                lambda transaction: self._add_wrong(transaction, login, requester, now, allowed),
                CodeItem,
            )
        except ConditionFailed as refused:
            wait = retry_after(raw_list(refused.items[0], "wrongs"), windows, now)
            if wait or not is_strict:
                raise TooManyAttempts(wait or None, "requester-wrong-codes") from None
            raise TooManyRequests(HOUR - now % HOUR, "service-wrong-codes") from None

    def record_wrong(self, login: str, requester: Requester, now: int) -> None:
        """Count a wrong code of a requester after it was compared, and record it in the audit.

        One transaction; `now` in epoch seconds. Raises Unavailable.
        """
        transact(lambda transaction: self._add_wrong(transaction, login, requester, now), CodeItem)

    def _add_wrong(
        self,
        transaction: Transaction,
        login: str,
        requester: Requester,
        now: int,
        windows: tuple[Window, ...] = (),
    ) -> None:
        count = self._count_wrong[windows]
        transaction.add_update(count.request(f"requester#{requester.key}", {"now": now}))
        transaction.update(*audit.rolled_up(login, CODE_WRONG, now))

    def _take_back(
        self, transaction: Transaction, login: str, attempt: ConsumedAttempt, now: int
    ) -> None:
        """Add the writes that undo `count_wrong` for an attempt whose code was right."""
        if attempt.is_recorded:
            key = f"requester#{attempt.requester.key}"
            transaction.add_update(self._uncount_wrong.request(key, {}))
            transaction.update(*audit.taken_back(login, CODE_WRONG, now))

    def refund_attempt(
        self, login: str, destination: Destination, attempt: ConsumedAttempt, now: int
    ) -> None:
        """Remove the attempt of a right code from the counts and leave the code live.

        One transaction, so that a retry whose first response was lost refunds nothing twice.
        `now` is the time of the attempt, epoch seconds. Raises CodeExpired if the code that was
        compared has been replaced meanwhile, RecoveryExpired if the login has changed since the
        recovery began, Unavailable; the attempt then stays counted.
        """

        def build(transaction: Transaction) -> None:
            check = self.check_login[destination.method]
            transaction.add_check(check.request(login, destination.values))
            refund = self._refund_attempt[attempt.is_owner]
            values = {"digest": attempt.digest, "requester": attempt.requester.key}
            transaction.add_update(refund.request(f"code#{login}", values))
            self._take_back(transaction, login, attempt, now)

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            code = refused.items[1]
            raise (RecoveryExpired() if refused.failed[0] else _overtaken(code, attempt)) from None

    def complete(
        self,
        login: str,
        destination: Destination,
        attempt: ConsumedAttempt,
        recovery: str,
        password_hash: str,
        bind: str | None,
        event: AuditItem,
        now: int,
    ) -> UsedCode | None:
        """Use the code, set the password, bind the WeChat and write the event in one transaction.

        `attempt` has the digest of the code that was compared; `recovery` is the id of the recovery;
        `bind` the openid to bind, or None; `now` in epoch seconds. Returns None, or UsedCode if this very
        code has been used meanwhile, perhaps by a repeat of the same request. Raises CodeExpired if it has
        been replaced meanwhile, RecoveryExpired if the login's password, phone or binding has changed since
        the recovery began, Unavailable.
        """
        values = {
            **destination.values,
            "now": now,
            "digest": attempt.digest,
            "requester": attempt.requester.key,
            "recovery": recovery,
            "hash": password_hash,
            "bind": bind,
        }

        def build(transaction: Transaction) -> None:
            transaction.save(event)
            use = self._use_code[attempt.is_owner]
            transaction.add_update(use.request(f"code#{login}", values))
            change = self._change_login[destination.method, bind is not None]
            transaction.add_update(change.request(login, values))
            self._take_back(transaction, login, attempt, now)

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            code = refused.items[1]
            user = raw_text(code, "used_by")
            if user is not None and raw_text(code, "used_digest") == attempt.digest:
                return UsedCode(attempt.digest, user, "used")
            raise (_overtaken(code, attempt) if refused.failed[1] else RecoveryExpired()) from None
        return None

    def is_unused(self, login: str, requester: Requester) -> bool:
        """Return whether the login's last code was sent for this requester and is unused. One read.

        It may have expired. Raises Unavailable.
        """
        item = read(CodeItem, f"code#{login}")
        return item is not None and bool(item.digest) and item.sender == requester.key

    def used_by(self, login: str) -> str | None:
        """Return the id of the recovery that used the login's last code, or None. One read.

        Raises Unavailable.
        """
        item = read(CodeItem, f"code#{login}")
        return None if item is None else item.used_by

    def live(self, login: str, requester: Requester, now: int) -> LiveCode | None:
        """Return the login's live code if it was sent for this requester, else None.

        `now` in epoch seconds. Raises Unavailable.
        """
        item = read(CodeItem, f"code#{login}")
        if item is None or not item.digest or item.sender != requester.key:
            return None
        if item.code_expires_at <= now:
            return None
        limits = self._limits
        tries = limits.of_requester(limits.tries_per_code, is_address=requester.is_address)
        return LiveCode(
            method=item.method,
            to=item.destination,
            expires_at=int(item.code_expires_at),
            attempts_left=max(0, tries - int(plain_map(item.tries).get(requester.key, 0))),
            send=item.send,
        )


def _own_reason(item: dict[str, Any] | None, requester: Requester) -> str | None:
    """Return why the requester has no live code; None where only others' codes could explain it."""
    if requester.key not in raw_texts(item, "senders"):
        return "never-sent"
    own = requester.key in (raw_text(item, "sender"), raw_text(item, "previous_sender"))
    return "expired" if own and raw_text(item, "digest") else None


def _overtaken(item: dict[str, Any] | None, attempt: ConsumedAttempt) -> CodeExpired:
    """Return the refusal of a code that was replaced while it was compared."""
    return CodeExpired("replaced" if raw_text(item, "sender") == attempt.requester.key else None)
