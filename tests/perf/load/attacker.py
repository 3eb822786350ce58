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

from tests.perf.load.answers import Answers
from tests.perf.load.calls import Caller, Reply
from tests.perf.proofs import start_with_proof

PASSWORD = "Falsch-geraten-7x"
_GUESSES = 20
"""Guesses at one code, of which the service compares five."""


@dataclass
class Attack:
    """What the attacker has sent and received, by step."""

    accepted: Counter[str] = field(default_factory=Counter)
    """Starts, sends, and guesses that were compared."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers 429."""
    other: Counter[str] = field(default_factory=Counter)
    """By step and answer: what the service may answer to neither, unless a fault explains it."""


class Attacker:
    """One WeChat that begins recoveries of others' logins, has codes sent and guesses them."""

    def __init__(
        self,
        services: Sequence[str],
        answers: Answers,
        cookie: str,
        logins: Sequence[str],
        ends_at: float,
    ) -> None:
        """`ends_at` is a time of `time.monotonic`. The logins are nobody's of the people."""
        self._cookie = cookie
        self._logins = logins
        self.ends_at = ends_at
        self._caller = Caller(services, answers, random.Random(0))
        self.attack = Attack()

    def live(self) -> None:
        """Attack one login after the other until the time is up, solving each proof of work."""
        for login in itertools.cycle(self._logins):
            if self._is_over:
                return
            reply = self._start(login)
            if self._counted("start", reply, 201):
                self._attack(str(reply.body["token"]))

    def _start(self, login: str) -> Reply:
        replies: list[Reply] = []

        def called(path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
            replies.append(self._request("start", path, body))
            return replies[-1].status, replies[-1].body

        start_with_proof(
            login, lambda path: called(path, None), lambda body: called("/recovery", body)
        )
        return replies[-1]

    def _attack(self, token: str) -> None:
        if not self._counted("send", self._request("send", "/recovery/code", {}, token), 202):
            return
        body = {"code": "000000", "password": PASSWORD}
        for _ in range(_GUESSES):
            reply = self._request("guess", "/recovery/password", body, token)
            if not self._counted("guess", reply, 400) or self._is_over:
                return

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def _counted(self, step: str, reply: Reply, expected: int) -> bool:
        """Count an answer; return whether it was none of the refusals."""
        if reply.status == expected:
            self.attack.accepted[step] += 1
        elif reply.status == 429:
            self.attack.refused[step] += 1
        elif not reply.is_excused:
            self.attack.other[f"the attacker's {step}: {reply.name}"] += 1
        return reply.status == expected

    def _request(
        self, step: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> Reply:
        headers = {"Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._caller.send(
            f"attacker: {step}",
            "GET" if body is None else "POST",
            self._caller.service() + path,
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
