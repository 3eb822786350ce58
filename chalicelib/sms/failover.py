"""Send through an ordered list of gateways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..domain.errors import DeliveryFailed
from .gateway import Attempt, Outcome, Sms, SmsGateway


class Delivery(NamedTuple):
    """The attempts of one send, in order; the last one is decisive."""

    attempts: tuple[Attempt, ...]

    @property
    def settled(self) -> Attempt:
        """Return the decisive attempt."""
        return self.attempts[-1]


class Failover:
    """Tries gateways in order until one has sent, refused for good, or not responded."""

    def __init__(self, gateways: Sequence[SmsGateway]) -> None:
        if not gateways:
            raise ValueError("at least one SMS gateway is needed")
        self._gateways = tuple(gateways)

    @property
    def first(self) -> str:
        """Return the name of the gateway that is tried first."""
        return self._gateways[0].name

    def send(self, sms: Sms, tried: Callable[[Attempt], None] = lambda _: None) -> Delivery:
        """Send once; an unknown outcome counts as sent: a second SMS is worse than a late one.

        `tried` is called with every attempt. Raises DeliveryFailed with all attempts where no gateway
        accepted the message.
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
