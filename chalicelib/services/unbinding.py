"""Remove a WeChat binding with the firm's details, for a person who lost that WeChat.

The three details are public, so they prove little. An unbinding therefore only leads back to an
SMS to the bound phone, and the person is notified by both channels. Attempts are limited by requester
and login, unbindings by login, by requester and for the whole service.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.details import approval_no as fold_approval_no
from ..domain.details import name as fold_name
from ..domain.details import number as fold_number
from ..domain.errors import (
    DetailsDoNotMatch,
    InvalidInput,
    PhoneNotBound,
    RecoveryExpired,
    ServiceError,
    Unavailable,
)
from ..domain.logins import parse_login
from ..domain.requester import Requester
from ..security.tokens import RecoveryClaims
from ..store import audit
from ..store.bindings import Bindings
from ..store.firms import Firms
from ..store.logins import Logins
from .notifications import Notifications
from .ports import Count
from .service_budgets import ServiceBudgets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnbindResult:
    """The binding is removed; `method` is how the next code is sent: `sms` or `follow`."""

    login: str
    method: str


class Unbinding:
    """Removes the binding of a recovery's login."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        logins: Logins,
        firms: Firms,
        bindings: Bindings,
        notifications: Notifications,
        budgets: ServiceBudgets,
        count: Count,
    ) -> None:
        self._budgets = budgets
        self._count = count
        self._clock = clock
        self._logins = logins
        self._firms = firms
        self._bindings = bindings
        self._notifications = notifications

    def unbind(
        self,
        claims: RecoveryClaims,
        requester: Requester,
        firm_no: str,
        approval_no: str,
        head_name: str,
    ) -> UnbindResult:
        """Remove the binding if all three details are right.

        Raises TooManyRequests, DetailsDoNotMatch, PhoneNotBound where the login has no phone for
        codes, RecoveryExpired where the binding is missing or has changed since the recovery
        began, or an operator has changed the login, Unavailable.
        """
        now = self._clock()
        if claims.bound_openid is None:
            raise RecoveryExpired
        if self._budgets.unbindings.is_exhausted(now):
            raise self._budgets.unbindings.refusal(now)
        attempts_left = self._bindings.count_details(claims.login, requester, now)
        account = self._logins.get(claims.login)
        firm = self._firms.get(account.firm_no) if account else None
        if account is None or firm is None:
            raise DetailsDoNotMatch(attempts_left)
        # All three are always compared, so that the time does not reveal which one is wrong.
        right = [
            _same(_firm_no(firm_no), fold_number(firm.firm_no)),
            _same(fold_approval_no(approval_no), fold_approval_no(firm.approval_no)),
            _same(fold_name(head_name), fold_name(firm.head_name)),
        ]
        if not all(right):
            self._bindings.record_wrong(requester, now)
            raise DetailsDoNotMatch(attempts_left)
        if account.phone is None:
            raise PhoneNotBound
        event = audit.entry(claims.login, "wechat-unbound", now, method="wechat")
        try:
            self._bindings.unbind(
                claims.login,
                claims.bound_openid,
                claims.epoch,
                event,
                requester,
                now,
                is_strict=self._budgets.unbindings.is_full(now),
            )
        except Unavailable:
            # A repeat would find no binding, and nobody would be notified.
            if not self._is_unbound(claims):
                raise
        self._count_for_service(now)
        self._count("Unbound")
        log.info("wechat unbound")
        self._notifications.notify(
            "wechat-unbound", claims.login, now, phone=account.phone, openid=claims.bound_openid
        )
        return UnbindResult(claims.login, "follow" if claims.visitor_openid is None else "sms")

    def _is_unbound(self, claims: RecoveryClaims) -> bool:
        """Return whether the binding is gone, after a write whose answer was lost."""
        account = self._logins.get(claims.login)
        return account is not None and not account.openid and account.recovery_epoch == claims.epoch

    def _count_for_service(self, now: int) -> None:
        # The binding is removed already: whatever becomes of its count, the person gets the success.
        try:
            self._budgets.unbindings.add(now)
        except ServiceError as error:
            log.info("an unbinding was not counted for the service: %s", error.code)


def _firm_no(given: str) -> str:
    """Return the firm's number, also where the person entered a login of the firm instead."""
    try:
        return parse_login(given).firm_no
    except InvalidInput:
        return fold_number(given)


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
