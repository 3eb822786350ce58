"""Send a code: reserve it, deliver it, and cancel it where it has certainly not gone out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..domain.codes import LIFETIME
from ..domain.errors import DeliveryFailed, ServiceError, Unavailable
from ..domain.limits import MINUTE
from ..store.budgets import Budget
from ..store.codes import Codes, Destination, new_send
from .code_delivery import CodeDelivery, masked_destination
from .code_issuer import CodeIssuer

# Seconds after which a store that hung has left no time for another call: the function has ten,
# and each call may need six.
_TIME_TO_CANCEL = 3


class SendResult(NamedTuple):
    """A code that was sent. Times in seconds."""

    method: str
    """`sms` or `wechat`."""
    destination: str
    """The masked phone, or the name of the Official Account."""
    delivery: str
    """`sent`, or `pull` where the person fetches the code in the Official Account."""
    expires_in: int
    resend_in: int


class CodeSender:
    """Sends codes within the limits of the login, the destination and the whole service."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        codes: Codes,
        issuer: CodeIssuer,
        delivery: CodeDelivery,
        budget: Budget,
    ) -> None:
        """`budget` limits the sends of the whole service."""
        self._clock = clock
        self._codes = codes
        self._issuer = issuer
        self._delivery = delivery
        self._budget = budget

    def check_budget(self, now: int) -> None:
        """Raise TooManyRequests where the budget of the whole service is used up."""
        self._budget.check(now)

    def send(self, login: str, destination: Destination, now: int) -> SendResult:
        """Send a new code, which replaces an earlier one.

        Raises TooManyRequests, TooManyAttempts, DeliveryFailed, NotFollowing, RecoveryExpired,
        Unavailable.
        """
        method, masked = destination.method, masked_destination(destination)
        send = new_send(login, destination, masked, self._delivery.gateway(destination), now)
        issued = self._issuer.issue(login, method)
        try:
            self._codes.reserve(login, destination, issued.digest, issued.sealed, send, now)
        except Unavailable as error:
            # The write may have taken effect although its response was lost. A code that is not
            # sent must neither count against the person nor be recorded in the audit as sent.
            if self._clock() - now < _TIME_TO_CANCEL:
                self._codes.cancel_send(login, destination, send, now, error.code)
            raise
        try:
            self._budget.count(now)
            dispatch = self._delivery.send(login, destination, issued.code, send)
        except ServiceError as error:
            reason = str(error) if isinstance(error, DeliveryFailed) else error.code
            self._codes.cancel_send(login, destination, send, now, reason)
            raise
        return SendResult(method, masked, dispatch.delivery, LIFETIME, MINUTE)
