"""The protocol of SMS gateways: message, attempt, outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

# Their receipts do not contain our reference, or only for some accounts.
BY_MESSAGE_ID = frozenset({"sns", "tencent"})
"""Gateways whose receipts are matched to the send by the message id."""


class Outcome(StrEnum):
    """Outcome of one attempt to send."""

    SENT = "sent"
    """The vendor accepted the message."""
    REFUSED = "refused"
    """Refused for good: every gateway would refuse it (invalid number, opted out)."""
    TRY_ANOTHER = "try-another"
    """This gateway cannot send now (down, throttled, unpaid, misconfigured); the next one may."""
    UNKNOWN = "unknown"
    """No response in time. The message may have been sent, so it must not be sent again."""


@dataclass(frozen=True)
class Sms:
    """One message to one phone."""

    to: str
    """E.164, such as +8613800001234."""
    text: str = field(repr=False)
    """The text without the signature, for gateways that accept any text."""
    template: str
    """Key of domain.catalogue.SMS_TEMPLATES, for gateways with registered templates."""
    params: Mapping[str, str] = field(repr=False)
    """Values by name, in the order in which the template contains them."""
    reference: str
    """Our id of this send, at most 128 characters; some vendors return it in their receipts."""


class Attempt(NamedTuple):
    """The result of one attempt at one gateway."""

    gateway: str
    outcome: Outcome
    message_id: str | None = None
    """The vendor's id of the message, which its receipts contain."""
    reason: str = ""
    """The vendor's code, or the kind of network failure. Never the message or the phone."""

    def __str__(self) -> str:
        return f"{self.gateway}: {self.outcome.value} {self.reason}".rstrip()


class SmsGateway(Protocol):
    """A way to send SMS. `send` never raises: every failure is an outcome."""

    @property
    def name(self) -> str:
        """Return the gateway's name in SMS_GATEWAYS."""
        ...

    def send(self, sms: Sms) -> Attempt:
        """Send the message, within a few seconds."""
        ...
