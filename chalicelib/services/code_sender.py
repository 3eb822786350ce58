"""Send a code: reserve it, deliver it, and cancel it where it has certainly not gone out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from threading import Thread
from typing import NamedTuple

from ..domain.canary import is_canary
from ..domain.codes import LIFETIME, SentCode
from ..domain.errors import DeliveryFailed, ServiceError, TooManyRequests, Unavailable
from ..domain.limits import MINUTE
from ..domain.requester import Requester
from ..store.budgets import Budget
from ..store.codes import Destination
from ..store.send_updates import SentBy
from ..store.sends import Send, Sends, new_send
from .code_delivery import CodeDelivery, masked_destination
from .code_issuer import CodeIssuer, IssuedCode
from .sent_codes import SentCodes

log = logging.getLogger(__name__)

# Seconds after which a store that hung has left no time for another call: the function has ten,
# and each call may need six.
_TIME_TO_CANCEL = 3

# Seconds after which a response no longer waits for the budget's write.
_TIME_TO_COUNT = 1


def run_beside(task: Callable[[], None]) -> Callable[[], None]:
    """Run a task in a thread; return a function that waits for it, for a limited time."""
    thread = Thread(target=copy_context().run, args=(task,), daemon=True)
    thread.start()
    return lambda: thread.join(_TIME_TO_COUNT)


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
    """Sends codes within the limits of the requester, the destination and the whole service."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        sends: Sends,
        issuer: CodeIssuer,
        delivery: CodeDelivery,
        budget: Budget,
        sent_codes: SentCodes,
    ) -> None:
        """`budget` limits the sends of the whole service."""
        self._clock = clock
        self._sends = sends
        self._issuer = issuer
        self._delivery = delivery
        self._budget = budget
        self._sent_codes = sent_codes

    def sent_before(
        self, login: str, destination: Destination, requester: Requester, now: int
    ) -> SentCode | None:
        """Return the requester's live code, or None; a failure to read it counts as None.

        It only saves the person another code. One read, or two.
        """
        try:
            return self._sent_codes.find(login, destination, requester, now)
        except ServiceError as error:
            log.warning("a live code was not found: %s", error.code)
            return None

    def send(
        self,
        login: str,
        destination: Destination,
        requester: Requester,
        openid: str | None,
        now: int,
    ) -> SendResult:
        """Send a new code, which replaces an earlier one once it is handed over.

        `openid` is the requester's, or None. Raises TooManyRequests, with the requester's live code
        where there is one, TooManyAttempts, DeliveryFailed, NotFollowing, RecoveryExpired, Unavailable.
        """
        method, masked = destination.method, masked_destination(destination)
        if method == "sms" and self._budget.is_exhausted(now):
            raise self._budget.refusal(now)
        send = Send(
            login,
            destination,
            SentBy(
                requester,
                is_owner=method == "wechat" and openid == destination.address,
                is_strict=self._budget.is_full(now),
            ),
            new_send(login, destination, masked, self._delivery.gateway(destination), now),
            now,
        )
        issued = self._issuer.issue(login, method)

        def issue(digits: int) -> IssuedCode:
            nonlocal issued
            if len(issued.code) != digits:
                issued = self._issuer.issue(login, method, digits)
            return issued

        try:
            self._sends.reserve(send, issue)
        except TooManyRequests as refusal:
            refusal.sent = self.sent_before(login, destination, requester, now)
            raise
        except Unavailable as error:
            # The write may have taken effect although its response was lost. A code that is not
            # sent must neither count against the person nor be recorded in the audit as sent.
            if self._clock() - now < _TIME_TO_CANCEL:
                self._sends.cancel(send, issued.digest, error.code)
            raise
        try:
            # The canary's message costs nothing and must not use up what people may send.
            with nullcontext() if is_canary(openid) else self._counted(now):
                dispatch = self._delivery.send(login, destination, issued.code, send.record)
        except ServiceError as error:
            reason = str(error) if isinstance(error, DeliveryFailed) else error.code
            self._sends.cancel(send, issued.digest, reason)
            raise
        return SendResult(method, masked, dispatch.delivery, LIFETIME, MINUTE)

    @contextmanager
    def _counted(self, now: int) -> Iterator[None]:
        """Count a send in the budget while the block delivers it."""
        wait = run_beside(lambda: self._count(now))
        try:
            yield
        finally:
            # The environment is frozen after the response, and its requests with it.
            wait()

    def _count(self, now: int) -> None:
        try:
            self._budget.add(now)
        except Exception as error:
            log.warning("a send was not counted in the budget: %s", type(error).__name__)
