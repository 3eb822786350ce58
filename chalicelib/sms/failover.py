"""The ordered list of gateways as one gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..domain.errors import DeliveryFailed
from .gateway import Attempt, Outcome, Sms, SmsGateway


class Delivery(NamedTuple):
    """The attempts of one send, in order; the last one settled it."""

    attempts: tuple[Attempt, ...]

    @property
    def settled(self) -> Attempt:
        return self.attempts[-1]


class Failover:
    """Tries gateways in order until one has sent, refused for good, or fallen silent."""

    def __init__(self, gateways: Sequence[SmsGateway]) -> None:
        if not gateways:
            raise ValueError("at least one SMS gateway is needed")
        self._gateways = tuple(gateways)

    @property
    def first(self) -> str:
        """The name of the gateway that is asked first."""
        return self._gateways[0].name

    def send(self, sms: Sms, tried: Callable[[Attempt], None] = lambda _: None) -> Delivery:
        """Send once. A silent gateway counts as sent: a second SMS is worse than a late one.

        `tried` is told of every attempt. Raises DeliveryFailed, naming them all, where no gateway
        took the message.
        """
        attempts: list[Attempt] = []
        for gateway in self._gateways:
            attempt = gateway.send(sms)
            attempts.append(attempt)
            tried(attempt)
            if attempt.outcome in (Outcome.SENT, Outcome.UNKNOWN):
                return Delivery(tuple(attempts))
            if attempt.outcome is Outcome.REFUSED:
                break
        raise DeliveryFailed([str(attempt) for attempt in attempts])
