"""What a gateway is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

# What their receipts carry besides the message id is nothing of ours, or only in some accounts.
BY_MESSAGE_ID = frozenset({"sns", "tencent"})
"""The gateways whose receipts find their send by the message id."""


class Outcome(StrEnum):
    """What became of one attempt to send."""

    SENT = "sent"
    """The vendor took the message."""
    REFUSED = "refused"
    """Refused for good: another gateway would be refused too (bad number, opted out)."""
    TRY_ANOTHER = "try-another"
    """This gateway can't now (down, throttled, unpaid, misconfigured); the next one may."""
    UNKNOWN = "unknown"
    """No answer in time. It may have been sent, so nobody may send it again."""


@dataclass(frozen=True)
class Sms:
    """One message to one phone."""

    to: str
    """E.164, such as +8613800001234."""
    text: str = field(repr=False)
    """The whole text without the signature; for gateways that take free text."""
    template: str
    """The key of domain.catalogue.SMS_TEMPLATES; for gateways that take filed templates."""
    params: Mapping[str, str] = field(repr=False)
    """The template's values by name, in the order in which the template names them."""
    reference: str
    """Our name of this send, at most 128 characters; vendors that can echo it in their receipt do."""


class Attempt(NamedTuple):
    """What one gateway answered."""

    gateway: str
    outcome: Outcome
    message_id: str | None = None
    """The vendor's name of the message, by which its receipts find the send."""
    reason: str = ""
    """The vendor's code and words, or the kind of network failure. Never the message or the phone."""

    def __str__(self) -> str:
        return f"{self.gateway}: {self.outcome.value} {self.reason}".rstrip()


class SmsGateway(Protocol):
    """A road to phones. `send` never raises: every failure is an outcome."""

    @property
    def name(self) -> str:
        """The gateway's word in SMS_GATEWAYS."""
        ...

    def send(self, sms: Sms) -> Attempt:
        """Hand the message over; at most a few seconds."""
        ...
