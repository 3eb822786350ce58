"""Simulated phone network: messages posted by the `http` gateway, in an inbox per phone."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from .serving import Reply, Simulator

INBOX = 200
"""Maximum number of messages kept for one phone; the oldest are dropped."""


@dataclass(frozen=True)
class Message:
    """An SMS in an inbox. `to` is E.164, `at` epoch seconds, `text` includes the signature."""

    id: int
    at: int
    to: str
    text: str
    template: str
    params: dict[str, str]


@dataclass
class Fault:
    """A fault of the next `times` posts: `status`, or success if None, after `delay` seconds."""

    status: int | None = None
    delay: float = 0
    times: int = 1


def _json(status: int, body: dict[str, Any]) -> Response:
    return Reply(json.dumps(body), status, {"Content-Type": "application/json"})


class SimulatedSms(Simulator):
    """Accepts the `http` gateway's posts at `url`, checks their signature and keeps the messages.

    `sign` is put before each text, as vendors do; `on_message` is called with each message.
    """

    def __init__(
        self,
        secret: str,
        *,
        sign: str = "",
        on_message: Callable[[Message], None] = lambda _: None,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        super().__init__()
        self._secret = secret.encode()
        self._prefix = f"【{sign}】" if sign else ""
        self._on_message = on_message
        self._clock = clock
        self._ids = itertools.count(1)
        self._guard = threading.Lock()
        self._inboxes: dict[str, deque[Message]] = {}
        self._fault: Fault | None = None

    def fail(self, status: int | None = None, *, delay: float = 0, times: int = 1) -> None:
        """Make the next `times` posts fail with `status`, or be accepted after `delay` seconds."""
        with self._guard:
            self._fault = Fault(status, delay, times) if times > 0 else None

    def numbers(self) -> list[str]:
        """Return the phones with messages, in the order of their first message."""
        with self._guard:
            return list(self._inboxes)

    def inbox(self, to: str) -> list[Message]:
        """Return the messages of a phone, oldest first."""
        with self._guard:
            return list(self._inboxes.get(to, ()))

    def clear(self) -> None:
        """Empty every inbox."""
        with self._guard:
            self._inboxes.clear()

    def answer(self, request: Request) -> Response:
        if request.method != "POST":
            return _json(405, {"error": "only POST is accepted"})
        body = request.get_data()
        expected = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        received = request.headers.get("X-Signature", "")
        if not hmac.compare_digest(expected.encode(), received.encode("utf-8", "replace")):
            return _json(403, {"error": "X-Signature does not match the body"})
        fault = self._next_fault()
        if fault is not None:
            self.delay(fault.delay)
            if fault.status is not None:
                return _json(fault.status, {"error": "simulated fault"})
        message = self._read(body)
        if message is None:
            return _json(400, {"error": "not a message of the http gateway"})
        with self._guard:
            inbox = self._inboxes.setdefault(message.to, deque(maxlen=INBOX))
            inbox.append(message)
        self._on_message(message)
        return _json(202, {"id": f"sms-{message.id}"})

    @property
    def is_failing(self) -> bool:
        """Whether the next post fails or is late."""
        with self._guard:
            return self._fault is not None

    def reset(self) -> None:
        """Empty every inbox and remove the fault."""
        with self._guard:
            self._inboxes.clear()
            self._fault = None

    def _next_fault(self) -> Fault | None:
        with self._guard:
            fault = self._fault
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._fault = None
            return fault

    def _read(self, body: bytes) -> Message | None:
        try:
            post = json.loads(body)
            to, text, template = post["to"], post["text"], post["template"]
            params = dict(post["params"])
        except (ValueError, KeyError, TypeError):
            return None
        texts = [to, text, template, *params.values()]
        if not all(isinstance(value, str) for value in texts) or not to.startswith("+"):
            return None
        return Message(next(self._ids), self._clock(), to, self._prefix + text, template, params)
