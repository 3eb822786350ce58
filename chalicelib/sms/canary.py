"""The test firm's messages: into its mailbox, whatever the gateways are, and to no phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..domain.canary import GATEWAY
from ..domain.errors import ServiceError
from .failover import Delivery, Failover
from .gateway import Attempt, Outcome, Sms, SmsGateway


class Mailbox:
    """Keeps the test firm's code for the canary and drops its other messages."""

    name = GATEWAY

    def __init__(self, keep: Callable[[str], None]) -> None:
        """`keep` stores a code. Raises ServiceError where it cannot."""
        self._keep = keep

    def send(self, sms: Sms) -> Attempt:
        """Keep the message's code, if it is the message of one."""
        if sms.template == "code":
            try:
                self._keep(sms.params["code"])
            except ServiceError as error:
                return Attempt(self.name, Outcome.TRY_ANOTHER, reason=error.code)
        return Attempt(self.name, Outcome.SENT)


class CanaryRoute(Failover):
    """The gateways of everybody, and a mailbox for the messages about one login.

    By the login and not by the phone: a phone might be entered for another login as well.
    """

    def __init__(self, gateways: Sequence[SmsGateway], login: str, mailbox: SmsGateway) -> None:
        super().__init__(gateways)
        self._login = login
        self._mailbox = Failover([mailbox])

    def send(self, sms: Sms, tried: Callable[[Attempt], None] = lambda _: None) -> Delivery:
        """Send once, as `Failover.send`."""
        if sms.params.get("login") == self._login:
            return self._mailbox.send(sms, tried)
        return super().send(sms, tried)
