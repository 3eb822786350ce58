"""Change a login for a person in need of support: bind a phone, unbind WeChat, lift limits.

No password and no code can be set here. Every change is written together with its audit event,
which names the operator and a reason, and the person is notified.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import (
    AccountNotFound,
    DeliveryFailed,
    InvalidInput,
    PhoneNotBound,
    Unavailable,
)
from ..domain.limits import Limits
from ..domain.logins import mask_phone, parse_login
from ..domain.phones import phone_number
from ..domain.reasons import parse_reason
from ..store import audit, freezing
from ..store.accounts import Accounts, AccountSnapshot, ConditionFailed
from ..store.search import SearchIndex
from .diagnosis import own_locks
from .notifications import Notifications

log = logging.getLogger(__name__)

REPLACED = "was "
"""The prefix of an audit event's outcome that names the phone that was bound before."""

_DATA_CARDS = "+8614"
# Another write may change the same login first; the change is then repeated on the new state.
_TRIES = 3


@dataclass(frozen=True)
class NotificationResult:
    """The outcome of a notice by SMS: `sent`, `unknown` or `failed`, with the gateway's reason."""

    destination: str
    outcome: str
    gateway: str | None
    reason: str | None


@dataclass(frozen=True)
class ChangeResult:
    """The result of a change; without a change nothing is written and nobody is notified."""

    login: str
    changed: bool
    notified: tuple[NotificationResult, ...] = ()
    codes_by_wechat: bool = False
    """Whether codes go to the bound WeChat afterwards, not to the phone."""


class PhoneDoubt(StrEnum):
    """A reason why a phone may be mistyped or may not receive an SMS."""

    DATA_CARD = "data-card"
    """A number of the segment 14x, which is for data cards and devices."""
    OTHER_FIRM = "other-firm"
    """A login of another firm has it."""


@dataclass(frozen=True)
class Review:
    """Who has reviewed a change of a phone besides the operator.

    `approver` is the AWS identity of a second person, whose approval is an audit event of its own.
    Without one the change is audited as an act of break-glass, and `before_unapproved` is called once before
    anything is written.
    """

    approver: str | None = None
    before_unapproved: Callable[[], None] = lambda: None


_NO_REVIEW = Review()


class Support:
    """The changes that operators may make to a login."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        limits: Limits,
        accounts: Accounts,
        notifications: Notifications,
        index: SearchIndex,
    ) -> None:
        """`index` is kept in step with the phones."""
        self._index = index
        self._clock = clock
        self._limits = limits
        self._accounts = accounts
        self._notifications = notifications

    def phone_doubts(self, login_text: str, number: str) -> tuple[PhoneDoubt, ...]:
        """Return the doubts about binding a phone to a login; none if it is bound already.

        The search for other logins reads the whole table. Raises InvalidInput, AccountNotFound,
        Unavailable.
        """
        phone = phone_number(number)
        if phone is None:
            raise InvalidInput("phone", INPUT_REASONS["phone"])
        snapshot = self._accounts.read(str(parse_login(login_text)))
        if snapshot is None or snapshot.is_erased(self._clock()):
            raise AccountNotFound
        if snapshot.phone == phone:
            return ()
        doubts = []
        if phone.startswith(_DATA_CARDS):
            doubts.append(PhoneDoubt.DATA_CARD)
        if self._accounts.is_phone_of_another_firm(phone, snapshot.firm_no):
            doubts.append(PhoneDoubt.OTHER_FIRM)
        return tuple(doubts)

    def change_phone(
        self,
        login_text: str,
        number: str,
        review: Review = _NO_REVIEW,
        /,
        *,
        actor: str,
        reason: str,
    ) -> ChangeResult:
        """Bind another phone and notify the old and the new one.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        phone = phone_number(number)
        if phone is None:
            raise InvalidInput("phone", INPUT_REASONS["phone"])
        now, why = self._clock(), parse_reason(reason)
        # The change may be repeated on another state; a failure of this is not kept.
        before_unapproved = functools.cache(review.before_unapproved)

        def change(before: AccountSnapshot) -> bool:
            if before.phone == phone:
                return False
            # Each person's act is found by their name.
            reviewed = audit.entry(
                before.login,
                "phone-approved" if review.approver else "break-glass",
                now,
                actor=review.approver or actor,
                reason=why,
                destination=mask_phone(phone),
            )
            event = audit.entry(
                before.login,
                "phone-changed",
                now,
                actor=actor,
                reason=why,
                method="sms",
                destination=mask_phone(phone),
                outcome=REPLACED + mask_phone(before.phone) if before.phone else "first-phone",
            )
            if review.approver is None:
                before_unapproved()
            self._index.add_phone(before.login, phone)
            self._accounts.change_phone(before, phone, [reviewed, event], now)
            if before.phone is not None:
                self._index.remove_phone(before.login, before.phone)
            return True

        before, changed = self._change(login_text, change)
        bound = before.openid is not None
        if not changed:
            return ChangeResult(before.login, False, codes_by_wechat=bound)
        phones = [number for number in (before.phone, phone) if number is not None]
        result = self._notify("phone-changed", before, phones, now)
        return replace(result, codes_by_wechat=bound)

    def unbind(self, login_text: str, *, actor: str, reason: str) -> ChangeResult:
        """Remove the WeChat binding, so that codes go to the phone again, and notify both.

        Raises InvalidInput, AccountNotFound, PhoneNotBound where the login has no phone,
        Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)

        def change(before: AccountSnapshot) -> bool:
            if before.openid is None:
                return False
            if before.phone is None:
                raise PhoneNotBound
            event = audit.entry(
                before.login, "wechat-unbound", now, actor=actor, reason=why, method="wechat"
            )
            self._accounts.unbind(before, event, now)
            return True

        before, changed = self._change(login_text, change)
        if not changed or before.phone is None:
            return ChangeResult(before.login, False)
        return self._notify("wechat-unbound", before, [before.phone], now)

    def unlock(self, login_text: str, *, actor: str, reason: str) -> ChangeResult:
        """Clear the counts of the login and of its phone or WeChat, and notify the person.

        Budgets of the whole service stay. Raises InvalidInput, AccountNotFound, Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)

        def change(before: AccountSnapshot) -> bool:
            counted = (
                before.starts,
                before.failures,
                before.sends,
                before.wrongs,
                *before.wrongs_by.values(),
                before.starts_by,
                before.details_by,
                before.unbindings,
                before.destination_sends,
            )
            if not any(counted):
                return False
            lifted = ",".join(lock.kind for lock in own_locks(before, self._limits, now))
            event = audit.entry(
                before.login, "unlocked", now, actor=actor, reason=why, outcome=lifted or None
            )
            self._accounts.unlock(before, event, now)
            return True

        before, changed = self._change(login_text, change)
        bound = before.openid is not None
        if not changed:
            return ChangeResult(before.login, False, codes_by_wechat=bound)
        result = self._notify("unlocked", before, [before.phone] if before.phone else [], now)
        return replace(result, codes_by_wechat=bound)

    def freeze(self, login_text: str, *, actor: str, reason: str) -> ChangeResult:
        """Freeze a login: no recovery begins, no password is valid, and what is open ends.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)

        def change(before: AccountSnapshot) -> bool:
            if before.frozen_at is not None:
                return False
            event = audit.entry(before.login, "frozen", now, actor=actor, reason=why)
            freezing.freeze(before.login, event, now)
            return True

        return self._frozen("frozen", login_text, change, now)

    def unfreeze(self, login_text: str, *, actor: str, reason: str) -> ChangeResult:
        """End the freezing of a login. Raises InvalidInput, AccountNotFound, Unavailable."""
        now, why = self._clock(), parse_reason(reason)

        def change(before: AccountSnapshot) -> bool:
            if before.frozen_at is None:
                return False
            event = audit.entry(before.login, "unfrozen", now, actor=actor, reason=why)
            freezing.unfreeze(before.login, event, now)
            return True

        return self._frozen("unfrozen", login_text, change, now)

    def _frozen(
        self, notice: str, login_text: str, change: Callable[[AccountSnapshot], bool], now: int
    ) -> ChangeResult:
        before, changed = self._change(login_text, change)
        if not changed:
            return ChangeResult(before.login, False)
        return self._notify(notice, before, [before.phone] if before.phone else [], now)

    def _change(
        self, login_text: str, change: Callable[[AccountSnapshot], bool]
    ) -> tuple[AccountSnapshot, bool]:
        """Return the login before the change, and whether the change was made.

        A write whose outcome is unknown is repeated once. Where the repeat finds nothing to change,
        the first attempt took effect, and the person is still to be notified of it.
        """
        login, unknown = str(parse_login(login_text)), None
        for _ in range(_TRIES):
            before = self._accounts.read(login)
            if before is None or before.is_erased(self._clock()):
                raise AccountNotFound
            if before.closed_at is not None:
                raise InvalidInput("login", INPUT_REASONS["closed"])
            try:
                changed = change(before)
            except ConditionFailed:
                continue
            except Unavailable:
                if unknown is not None:
                    raise
                unknown = before
                continue
            if unknown is not None and not changed:
                return unknown, True
            return before, changed
        raise Unavailable("store")

    def _notify(
        self, notice: str, before: AccountSnapshot, phones: Sequence[str], now: int
    ) -> ChangeResult:
        notified = tuple(
            notify_by_sms(self._notifications, notice, before.login, phone, now) for phone in phones
        )
        if before.openid is not None:
            self._notifications.notify(notice, before.login, now, phone=None, openid=before.openid)
        return ChangeResult(before.login, True, notified)


def notify_by_sms(
    notifications: Notifications, notice: str, login: str, phone: str, now: int
) -> NotificationResult:
    """Send a notice by SMS and return what the operator is shown of it."""
    masked_destination = mask_phone(phone)
    try:
        settled = notifications.by_sms(notice, login, now, phone)
    except DeliveryFailed as error:
        log.warning("notice %s failed", notice)
        return NotificationResult(masked_destination, "failed", None, str(error))
    return NotificationResult(
        masked_destination, settled.outcome.value, settled.gateway, settled.reason or None
    )
