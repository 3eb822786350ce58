"""One message to an SMS vendor by HTTP, and what its failure means for the message."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..http_client import HttpClient, OutcomeUnknown, RequestNotSent
from .gateway import Attempt, Outcome, Sms

_WORD = re.compile(r"[A-Za-z0-9._:^-]{1,64}")


class Answer(NamedTuple):
    """A vendor's answer; `body` is its JSON object, empty where it sent something else."""

    status: int
    body: Mapping[str, Any]


class NoAnswer(NamedTuple):
    """The reason why there is none, and what follows for the message."""

    outcome: Outcome
    reason: str


def post(
    client: HttpClient, url: str, headers: Mapping[str, str], body: bytes
) -> Answer | NoAnswer:
    """Send once, and never raise.

    The outcome is TRY_ANOTHER where nothing of the request has left, and otherwise UNKNOWN.
    """
    try:
        status, content = client.request("POST", url, headers, body)
    except RequestNotSent as error:
        return NoAnswer(Outcome.TRY_ANOTHER, f"not connected: {error}")
    except Exception as error:
        # OutcomeUnknown carries the kind of the failure alone; of others only the class is safe.
        return NoAnswer(Outcome.UNKNOWN, f"no answer: {_kind(error)}")
    return Answer(status, _json_object(content))


def word(value: Any) -> str:
    """Return a vendor's code, or its name of a request or message; "" for any other value.

    Another value may be anything, the phone included, and must not be kept.
    """
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


class VendorRequest(NamedTuple):
    """A signed POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class VendorReply(NamedTuple):
    """The parts of a vendor's answer as they came; of any type."""

    code: Any
    """The code of success or of the error."""
    request_id: Any = None
    message_id: Any = None


class TemplateGateway(ABC):
    """A vendor that sends by filed templates and answers by codes."""

    name: str
    success: str
    """The code of a message that was accepted."""

    def __init__(self, client: HttpClient, templates: Mapping[str, str]) -> None:
        """`templates` maps our template names to the vendor's."""
        self._client = client
        self._templates = templates

    def send(self, sms: Sms) -> Attempt:
        """Hand the message over."""
        template = self._templates.get(sms.template)
        if template is None:
            reason = f"no template for {sms.template}"
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=reason)
        answer = post(self._client, *self._request(sms, template))
        if isinstance(answer, NoAnswer):
            return Attempt(self.name, answer.outcome, reason=answer.reason)
        reply = self._reply(answer.body)
        code = word(reply.code)
        if not code:
            # A 2xx may have been a success.
            accepted = 200 <= answer.status < 300
            return Attempt(
                self.name,
                Outcome.UNKNOWN if accepted else Outcome.TRY_ANOTHER,
                reason=f"HTTP {answer.status}, unreadable",
            )
        if code == self.success:
            return Attempt(self.name, Outcome.SENT, message_id=word(reply.message_id) or None)
        # The vendor's message may quote the number; its code and the request's name do not.
        reason = f"{code} {word(reply.request_id)}".strip()
        return Attempt(self.name, self._outcome(code), reason=reason)

    @abstractmethod
    def _request(self, sms: Sms, template: str) -> VendorRequest:
        """Return the request that sends the message by the vendor's template."""

    @abstractmethod
    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        """Return the parts of an answer."""

    @abstractmethod
    def _outcome(self, code: str) -> Outcome:
        """Return what an error code means for the message."""


def _kind(error: Exception) -> str:
    return str(error) if isinstance(error, OutcomeUnknown) else type(error).__name__


def _json_object(content: bytes | None) -> dict[str, Any]:
    try:
        parsed = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
