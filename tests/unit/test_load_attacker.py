"""The attacker of `python -m tests.perf.load`: what it sends, and what it counts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from chalicelib.security.proof_of_work import Proofs
from tests.perf.load.answers import Answers
from tests.perf.load.attacker import Attack, Attacker
from tests.support.http_server import Received, Reply, serving

PROOFS = Proofs([b"k" * 32], lambda: 1_800_000_000, cost=1)


class Scripted:
    """A service that compares two guesses at each code and refuses the second send."""

    def __init__(self) -> None:
        self.attacker: Attacker | None = None
        self.guesses = 0
        self.sends: Iterator[tuple[int, object]] = iter(
            [(202, {}), (429, {"code": "too-many-requests"}), (503, {"code": "unavailable"})]
        )

    def reply(self, request: Received) -> Reply:
        status, body = self._answer(request)
        return status, json.dumps(body).encode()

    def _answer(self, request: Received) -> tuple[int, object]:
        if request.path.startswith("/proof"):
            return 200, PROOFS.challenge("recovery", None)
        if request.path == "/recovery":
            proof = json.loads(request.body)["proof"]
            assert PROOFS.check(proof, "recovery") is not None
            return 201, {"token": "t"}
        if request.path == "/recovery/code":
            status, body = next(self.sends)
            if status == 503:
                assert self.attacker is not None
                self.attacker.ends_at = time.monotonic()
            return status, body
        self.guesses += 1
        wrong = (400, {"code": "code-wrong", "attempts_left": 1})
        return wrong if self.guesses < 3 else (429, {"code": "too-many-attempts"})


@pytest.fixture
def attack() -> Attack:
    scripted = Scripted()
    with serving(scripted.reply) as server:
        logins = ["11010148", "11010149"]
        ends_at = time.monotonic() + 60
        attacker = Attacker([server.url], Answers(), "wechat=cookie", logins, ends_at)
        scripted.attacker = attacker
        attacker.live()
        cookies = {request.headers.get("cookie") for request in server.received}
        assert cookies == {"wechat=cookie"}
    return attacker.attack


def test_accepted_and_refused_steps_are_counted_apart(attack: Attack) -> None:
    """A refusal ends the attack on this login, and the next one follows."""
    assert attack.accepted == {"start": 3, "send": 1, "guess": 2}
    assert attack.refused == {"guess": 1, "send": 1}


def test_an_answer_that_is_no_refusal_is_a_fault(attack: Attack) -> None:
    """A 5xx is one whoever caused it."""
    assert attack.other == {"the attacker's send: 503 unavailable": 1}
