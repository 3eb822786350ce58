"""A gateway for our own format: signed JSON `{"to", "text", "template", "params"}`."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

from ..http_client import HttpClient
from .gateway import Attempt, Outcome, Sms
from .vendor import NoAnswer, post, word


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Signature: HMAC-SHA256 of the body in hex."""
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


class Http:
    """Posts the message to a URL. 2xx means accepted, 4xx is final, 5xx fails over.

    A time-out before the connection is established fails over. A later one does not: the message may
    have been accepted, and a second SMS with the same code is worse than none. The response may
    contain the message's id: `{"id": "…"}`.
    """

    name = "http"

    def __init__(
        self,
        url: str,
        secret: str,
        client: HttpClient,
        correlation_id: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`correlation_id` returns the id of the request that sends the message, for a header."""
        self._correlation_id = correlation_id
        self._url = url
        self._secret = secret
        self._client = client

    def send(self, sms: Sms) -> Attempt:
        """Send the message once; return the outcome."""
        message = {
            "to": sms.to,
            "text": sms.text,
            "template": sms.template,
            "params": dict(sms.params),
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Signature": signature(self._secret, body),
        }
        if correlation_id := self._correlation_id():
            headers["X-Correlation-Id"] = correlation_id
        answer = post(self._client, self._url, headers, body)
        if isinstance(answer, NoAnswer):
            return Attempt(self.name, answer.outcome, reason=answer.reason)
        if 200 <= answer.status < 300:
            message_id = word(answer.body.get("id")) or None
            return Attempt(self.name, Outcome.SENT, message_id=message_id)
        refused = 400 <= answer.status < 500
        return Attempt(
            self.name,
            Outcome.REFUSED if refused else Outcome.TRY_ANOTHER,
            reason=f"HTTP {answer.status}",
        )
