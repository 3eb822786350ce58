"""Requests to any of the processes, with a record of every answer."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import requests

from tests.perf.load.answers import Answers, answer_of
from tests.perf.load.outages import Outage

PATIENCE = 30
"""Seconds for one answer."""


class Reply(NamedTuple):
    """An answer; `status` is 0 where there was none."""

    step: str
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    outage: Outage | None = None
    """The fault that covers the call."""

    @property
    def name(self) -> str:
        """The status, with the code of a problem."""
        return answer_of(self.status, self.body)

    @property
    def is_excused(self) -> bool:
        """Whether a fault explains the answer."""
        return self.outage is not None and self.outage.excuses(self.step, self.name)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the write behind the answer may have taken effect.

        A 503 that no fault explains is an error of its own, and its write is in doubt as well.
        """
        is_certain = self.is_excused and self.outage is not None and not self.outage.leaves_doubt
        return self.status == 503 and not is_certain


class Caller:
    """Sends requests of one person to the processes in turn."""

    def __init__(self, services: Sequence[str], answers: Answers, dice: random.Random) -> None:
        self._services = services
        self._answers = answers
        self._dice = dice
        self._session = requests.Session()
        self._session.trust_env = False

    def service(self) -> str:
        """Return the address of one of the processes."""
        return self._dice.choice(self._services)

    def send(
        self,
        step: str,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, record its answer as one of `step`, and return it."""
        began = time.monotonic()
        try:
            answer = self._session.request(
                method, url, data=body, headers=headers, timeout=PATIENCE, allow_redirects=False
            )
            found: dict[str, Any] = {} if 300 <= answer.status_code < 400 else answer.json()
        except (requests.RequestException, ValueError) as error:
            self._answers.error(f"{step}: {type(error).__name__}")
            return Reply(step, 0, {}, {})
        named = answer_of(answer.status_code, found)
        outage = self._answers.record(step, named, began, time.monotonic())
        return Reply(step, answer.status_code, found, answer.headers, outage)
