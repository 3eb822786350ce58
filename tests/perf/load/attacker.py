"""An attacker among the people: one WeChat that wears out the service's limits at full speed."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.perf.proofs import start_with_proof

PASSWORD = "Falsch-geraten-7x"
_GUESSES = 20
"""Guesses at one code, of which the service compares five."""
_TIMEOUT = 30


@dataclass
class Attack:
    """What the attacker has sent and received, by step."""

    accepted: Counter[str] = field(default_factory=Counter)
    """Starts, sends, and guesses that were compared."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers 429."""
    other: Counter[str] = field(default_factory=Counter)
    """By step and answer: what the service may answer to neither."""


class Attacker:
    """One WeChat that begins recoveries of others' logins, has codes sent and guesses them."""

    def __init__(
        self, services: Sequence[str], cookie: str, logins: Sequence[str], ends_at: float
    ) -> None:
        """`ends_at` is a time of `time.monotonic`. The logins are nobody's of the people."""
        self._services = services
        self._cookie = cookie
        self._logins = logins
        self.ends_at = ends_at
        self._session = requests.Session()
        self._session.trust_env = False
        self._dice = random.Random(0)
        self.attack = Attack()

    def live(self) -> None:
        """Attack one login after the other until the time is up, solving each proof of work."""
        for login in itertools.cycle(self._logins):
            if self._is_over:
                return
            status, started = start_with_proof(login, self._get, self._post_start)
            if self._counted("start", status, started, {201}):
                self._attack(str(started["token"]))

    def _attack(self, token: str) -> None:
        status, sent = self._request("POST", "/recovery/code", {}, token)
        if not self._counted("send", status, sent, {202}):
            return
        body = {"code": "000000", "password": PASSWORD}
        for _ in range(_GUESSES):
            status, answer = self._request("POST", "/recovery/password", body, token)
            if not self._counted("guess", status, answer, {400}) or self._is_over:
                return

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def _counted(self, step: str, status: int, answer: dict[str, Any], expected: set[int]) -> bool:
        """Count an answer; return whether it was none of the refusals."""
        if status in expected:
            self.attack.accepted[step] += 1
        elif status == 429:
            self.attack.refused[step] += 1
        else:
            self.attack.other[f"the attacker's {step}: {status} {answer.get('code')}"] += 1
        return status in expected

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        return self._request("GET", path)

    def _post_start(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self._request("POST", "/recovery", body)

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            answer = self._session.request(
                method,
                self._dice.choice(self._services) + path,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=_TIMEOUT,
            )
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            return 0, {"code": type(error).__name__}
        return answer.status_code, found
