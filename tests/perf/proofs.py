"""Begin recoveries with proofs of work, solved as fast as an attacker's program would."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_SAMPLES = 2_000

_CHALLENGES = 8
"""Challenges that are solved for one start, each harder than the one before."""

Response = tuple[int, dict[str, Any]]
"""Status and body; the status is 0 where there was no answer."""


class Solved(NamedTuple):
    """A solved challenge, as `POST /recovery` accepts it, and the derivations that it required."""

    proof: str
    derivations: int
    cpu_s: float
    factor: int = 1
    """How many times the ordinary work was required."""


def solve(challenge: dict[str, Any]) -> Solved:
    """Return the proof of an ALTCHA v2 challenge of PBKDF2 with SHA-256, counting from 0."""
    parameters = challenge["parameters"]
    nonce, salt = bytes.fromhex(parameters["nonce"]), bytes.fromhex(parameters["salt"])
    prefix = bytes.fromhex(parameters["keyPrefix"])
    cost, length = parameters["cost"], parameters["keyLength"]
    began = time.thread_time()
    counter = 0
    while True:
        password = nonce + counter.to_bytes(4, "big")
        key = hashlib.pbkdf2_hmac("sha256", password, salt, cost, length)
        if key.startswith(prefix):
            break
        counter += 1
    solution = {"counter": counter, "derivedKey": key.hex()}
    payload = json.dumps({"challenge": challenge, "solution": solution})
    proof = base64.b64encode(payload.encode()).decode()
    return Solved(proof, counter + 1, time.thread_time() - began)


def start_with_proof(
    login: str,
    get: Callable[[str], Response],
    post: Callable[[dict[str, Any]], Response],
    on_solved: Callable[[Solved], object] = lambda _: None,
) -> Response:
    """Begin a recovery, with as much work as the service requires; return the last answer.

    `get` requests a path, `post` sends a body to `POST /recovery`. A refusal that names a greater
    factor is followed by a harder challenge.
    """
    factor = 1
    for _ in range(_CHALLENGES):
        harder = f"&factor={factor}" if factor > 1 else ""
        status, challenge = get(f"/proof?login={login}{harder}")
        if status != 200:
            return status, challenge
        solved = solve(challenge)
        on_solved(solved._replace(factor=factor))
        status, answer = post({"user_type": "firm", "login": login, "proof": solved.proof})
        required = answer.get("factor")
        if answer.get("code") != "proof-invalid" or required is None or required <= factor:
            break
        factor = int(required)
    return status, answer


@functools.cache
def derivation_cpu_s(cost: int) -> float:
    """Return the CPU seconds of one derivation of `cost` rounds on this machine.

    The first quartile of many samples: other programs on the machine only add to the time.
    """
    times = []
    for counter in range(_SAMPLES):
        began = time.thread_time()
        hashlib.pbkdf2_hmac("sha256", counter.to_bytes(20, "big"), bytes(16), cost, 32)
        times.append(time.thread_time() - began)
    return statistics.quantiles(times)[0]
