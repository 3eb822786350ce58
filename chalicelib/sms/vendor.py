"""Base of the SMS gateways over HTTP: one request, and the outcome of its response or failure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from ..http_client import HttpClient, OutcomeUnknown, RequestNotSent
from .gateway import Attempt, Outcome, Sms

_WORD = re.compile(r"[A-Za-z0-9._:^-]{1,64}")


class Answer(NamedTuple):
    """A vendor's response; `body` is its JSON object, empty for any other content."""

    status: int
    body: Mapping[str, Any]


class NoAnswer(NamedTuple):
    """The outcome of a request without a response, and the reason."""

    outcome: Outcome
    reason: str


def post(
    client: HttpClient, url: str, headers: Mapping[str, str], body: bytes
) -> Answer | NoAnswer:
    """Send the request once; never raise.

    Without a response, the outcome is TRY_ANOTHER where nothing was sent, and UNKNOWN otherwise.
    """
    try:
        status, content = client.request("POST", url, headers, body)
    except RequestNotSent as error:
        return NoAnswer(Outcome.TRY_ANOTHER, f"not connected: {error}")
    except Exception as error:
        # The text of OutcomeUnknown is safe to log; of other exceptions only the class is.
        return NoAnswer(Outcome.UNKNOWN, f"no answer: {_kind(error)}")
    return Answer(status, _json_object(content))


def word(value: Any) -> str:
    """Return a vendor's error code, request id or message id; "" for any other value.

    Other values may contain anything, even the phone number, and must not be stored.
    """
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


class VendorRequest(NamedTuple):
    """A signed POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class VendorReply(NamedTuple):
    """The used values of a vendor's response, not validated."""

    code: Any
    """Code of success or of the error."""
    request_id: Any = None
    message_id: Any = None


@dataclass(frozen=True)
class VendorAccount:
    """An account at a vendor, as configured by the settings."""

    key_id: str
    key_secret: str = field(repr=False)
    url: str
    """Of the vendor's API, without a path."""
    sign: str
    """Registered signature of the messages, without brackets."""
    templates: Mapping[str, str]
    """Our template names to the vendor's template ids."""

    @property
    def host(self) -> str:
        """Return the URL's host, with its port where there is one."""
        return urlsplit(self.url).netloc


class TemplateGateway(ABC):
    """A vendor that sends registered templates and responds with a code."""

    name: ClassVar[str]
    success: ClassVar[str]
    """Code of an accepted message."""
    final: ClassVar[frozenset[str]]
    """Codes of refusals that certainly concern the number: no other gateway is tried."""
    unknown: ClassVar[frozenset[str]] = frozenset()
    """Codes after which the message may have been sent."""

    def __init__(
        self, account: VendorAccount, client: HttpClient, clock: Callable[[], int]
    ) -> None:
        """`clock` returns epoch seconds."""
        self._account = account
        self._client = client
        self._clock = clock

    def send(self, sms: Sms) -> Attempt:
        """Send the message once; return the outcome."""
        template = self._account.templates.get(sms.template)
        if template is None:
            reason = f"no template for {sms.template}"
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=reason)
        answer = post(self._client, *self._request(sms, template))
        if isinstance(answer, NoAnswer):
            return Attempt(self.name, answer.outcome, reason=answer.reason)
        reply = self._reply(answer.body)
        code = word(reply.code)
        if not code:
            # A 2xx may be a success.
            accepted = 200 <= answer.status < 300
            return Attempt(
                self.name,
                Outcome.UNKNOWN if accepted else Outcome.TRY_ANOTHER,
                reason=f"HTTP {answer.status}, unreadable",
            )
        if code == self.success:
            return Attempt(self.name, Outcome.SENT, message_id=word(reply.message_id) or None)
        # The vendor's message may quote the phone number; the code and the request id do not.
        reason = f"{code} {word(reply.request_id)}".strip()
        return Attempt(self.name, self._outcome(code), reason=reason)

    def _outcome(self, code: str) -> Outcome:
        if code in self.final:
            return Outcome.REFUSED
        return Outcome.UNKNOWN if code in self.unknown else Outcome.TRY_ANOTHER

    @abstractmethod
    def _request(self, sms: Sms, template: str) -> VendorRequest:
        """Return the signed request that sends the message with the vendor's template id."""

    @abstractmethod
    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        """Return the used values of a response."""


def sha256_hex(content: bytes) -> str:
    """Return the SHA-256 in lower-case hex, as the vendors' signatures use it."""
    return hashlib.sha256(content).hexdigest()


def hmac_sha256(key: bytes, text: str) -> bytes:
    """Return the HMAC-SHA256 of a text in UTF-8."""
    return hmac.digest(key, text.encode(), hashlib.sha256)


def utc(at: int) -> datetime:
    """Return a time in epoch seconds as a UTC datetime."""
    return datetime.fromtimestamp(at, UTC)


def _kind(error: Exception) -> str:
    return str(error) if isinstance(error, OutcomeUnknown) else type(error).__name__


def _json_object(content: bytes | None) -> dict[str, Any]:
    # Broken text in a vendor's message must not hide the code beside it.
    text = (content or b"").decode("utf-8-sig", "replace")
    try:
        parsed = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
