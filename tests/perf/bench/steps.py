"""Single requests over the local stack's HTTP server, one after another.

A figure is one request's time with nobody else about. AWS is moto in the same process, which is
slower than DynamoDB in a region.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from chalicelib.security.password_hasher import PasswordHasher
from tests.perf.bench import figures

LOGIN = "11010148"


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def measure(url: str, rounds: int) -> list[dict[str, Any]]:
    """Return milliseconds of health, the document, a start, a wrong code without a live one, and a hash."""
    hasher = PasswordHasher({1: b"p" * 32})
    samples: dict[str, list[float]] = {
        "argon2id hash": [
            _timed(lambda: hasher.hash("Correct-horse-7"))[0] for _ in range(min(rounds, 30))
        ],
        "health": [],
        "document": [],
        "start": [],
        "no code": [],
    }
    session = requests.Session()
    session.get(f"{url}/wechat/enter")
    for _ in range(rounds):
        samples["health"].append(_timed(lambda: session.get(f"{url}/health"))[0])
        samples["document"].append(_timed(lambda: session.get(f"{url}/"))[0])
    token = ""
    for _ in range(min(rounds, 25)):
        took, answer = _timed(
            lambda: session.post(f"{url}/recovery", json={"user_type": "firm", "login": LOGIN})
        )
        answer.raise_for_status()
        token = answer.json()["token"]
        samples["start"].append(took)
    for _ in range(rounds):
        took, answer = _timed(
            lambda: session.post(
                f"{url}/recovery/password",
                json={"code": "000000", "password": "Correct-horse-7"},
                headers={"Authorization": f"Bearer {token}"},
            )
        )
        samples["no code"].append(took)
    return [{"step": name, **figures.spread(taken)} for name, taken in samples.items()]
