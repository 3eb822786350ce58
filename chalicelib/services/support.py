"""An operator binds a phone, undoes a binding, lifts limits.

Nobody sets a password or a code here. Every change is written together with its audit event, which
names the operator and a reason, and is told to the person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from ..store import audit
from ..store.accounts import Accounts, AccountSnapshot, ConditionFailed
from .diagnosis import own_locks
from .notifications import Notifications

log = logging.getLogger(__name__)

REPLACED = "was "
"""What an audit event's outcome begins with where it names the phone that was bound before."""

_MOST_REASON = 200
# Somebody else may change the same login meanwhile; the change is then made on what they left.
_TRIES = 3


@dataclass(frozen=True)
class NotificationResult:
    """A notice by SMS: `sent`, `unknown` or `failed`, with the gateway's words where it has any."""

    destination: str
    outcome: str
    gateway: str | None
    reason: str | None


@dataclass(frozen=True)
class Changed:
    """What a change did; where nothing was to be changed, nothing is written and nobody told."""

    login: str
    changed: bool
    told: tuple[NotificationResult, ...] = ()


class Support:
    """What operators may do to a login."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        limits: Limits,
        accounts: Accounts,
        notifications: Notifications,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._accounts = accounts
        self._notifications = notifications

    def change_phone(self, login_text: str, number: str, *, actor: str, reason: str) -> Changed:
        """Bind another phone; the old and the new one are told.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        phone = phone_number(number)
        if phone is None:
            raise InvalidInput("phone", INPUT_REASONS["phone"])
        now, why = self._clock(), _reason(reason)

        def change(was: AccountSnapshot) -> bool:
            if was.phone == phone:
                return False
            event = audit.entry(
                was.login,
                "phone-changed",
                now,
                actor=actor,
                reason=why,
                method="sms",
                destination=mask_phone(phone),
                outcome=REPLACED + mask_phone(was.phone) if was.phone else "first-phone",
            )
            self._accounts.change_phone(was, phone, event, now)
            return True

        was, changed = self._change(login_text, change)
        if not changed:
            return Changed(was.login, False)
        phones = [number for number in (was.phone, phone) if number is not None]
        return self._notify("phone-changed", was, phones, now)

    def unbind(self, login_text: str, *, actor: str, reason: str) -> Changed:
        """Undo the WeChat binding, so that codes go to the phone again; both are told.

        Raises InvalidInput, AccountNotFound, PhoneNotBound where no way would be left, Unavailable.
        """
        now, why = self._clock(), _reason(reason)

        def change(was: AccountSnapshot) -> bool:
            if was.openid is None:
                return False
            if was.phone is None:
                raise PhoneNotBound
            event = audit.entry(
                was.login, "wechat-unbound", now, actor=actor, reason=why, method="wechat"
            )
            self._accounts.unbind(was, event, now)
            return True

        was, changed = self._change(login_text, change)
        if not changed or was.phone is None:
            return Changed(was.login, False)
        return self._notify("wechat-unbound", was, [was.phone], now)

    def unlock(self, login_text: str, *, actor: str, reason: str) -> Changed:
        """Empty the counts of the login and of its phone or WeChat; the person is told.

        Service-wide budgets stay. Raises InvalidInput, AccountNotFound, Unavailable.
        """
        now, why = self._clock(), _reason(reason)

        def change(was: AccountSnapshot) -> bool:
            counted = (
                was.starts,
                was.failures,
                was.sends,
                was.wrongs,
                was.wrong_details,
                was.destination_sends,
            )
            if not any(counted):
                return False
            lifted = ",".join(lock.kind for lock in own_locks(was, self._limits, now))
            event = audit.entry(
                was.login, "unlocked", now, actor=actor, reason=why, outcome=lifted or None
            )
            self._accounts.unlock(was, event, now)
            return True

        was, changed = self._change(login_text, change)
        if not changed:
            return Changed(was.login, False)
        return self._notify("unlocked", was, [was.phone] if was.phone else [], now)

    def _change(
        self, login_text: str, change: Callable[[AccountSnapshot], bool]
    ) -> tuple[AccountSnapshot, bool]:
        login = str(parse_login(login_text))
        for _ in range(_TRIES):
            was = self._accounts.read(login)
            if was is None:
                raise AccountNotFound
            try:
                return was, change(was)
            except ConditionFailed:
                continue
        raise Unavailable("store")

    def _notify(
        self, notice: str, was: AccountSnapshot, phones: Sequence[str], now: int
    ) -> Changed:
        told = tuple(self._by_sms(notice, was.login, phone, now) for phone in phones)
        if was.openid is not None:
            self._notifications.notify(notice, was.login, now, phone=None, openid=was.openid)
        return Changed(was.login, True, told)

    def _by_sms(self, notice: str, login: str, phone: str, now: int) -> NotificationResult:
        masked_destination = mask_phone(phone)
        try:
            settled = self._notifications.by_sms(notice, login, now, phone)
        except DeliveryFailed as error:
            log.warning("notice %s failed", notice)
            return NotificationResult(masked_destination, "failed", None, str(error))
        return NotificationResult(
            masked_destination, settled.outcome.value, settled.gateway, settled.reason or None
        )


def _reason(text: str) -> str:
    reason = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not reason:
        raise InvalidInput("reason", INPUT_REASONS["missing"])
    if len(reason) > _MOST_REASON:
        raise InvalidInput("reason", INPUT_REASONS["too-long"])
    return reason
