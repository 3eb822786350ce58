"""Proof of work: ALTCHA challenges, bound to an action and, where it is known, to a login."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LIFETIME = 300
"""Seconds in which a challenge must be solved and handed in."""

ALGORITHM = "PBKDF2/SHA-256"
COST = 1_000
"""PBKDF2 rounds of one try; about 0.3 ms in a phone's browser."""
COUNTERS = range(500, 1_500)
"""The solution lies in here, so that every challenge takes about the same time: 0.2 to 1 s."""

MAXIMUM_LENGTH = 4_096


class Proof(NamedTuple):
    """A solved challenge. `id` is unique; `login` is None where the challenge named none."""

    id: str
    login: str | None


class Proofs:
    """Makes challenges and checks their solutions; whether one was used before is the store's."""

    def __init__(
        self, keys: Sequence[bytes], clock: Callable[[], int], *, cost: int = COST
    ) -> None:
        """`keys` newest first; derived, so that no other use of the same keys is touched."""
        self._keys = [hashlib.sha256(b"login-recovery.proof\0" + key).digest() for key in keys]
        self._clock = clock
        self._cost = cost

    def challenge(self, action: str, login: str | None) -> dict[str, Any]:
        """An ALTCHA v2 challenge as the widget and the page read it."""
        import altcha

        data = {"action": action} if login is None else {"action": action, "login": login}
        challenge = altcha.create_challenge(
            ALGORITHM,
            self._cost,
            counter=COUNTERS.start + secrets.randbelow(len(COUNTERS)),
            expires_at=self._clock() + LIFETIME,
            data=data,
            hmac_secret=self._keys[0],
            hmac_key_secret=self._keys[0],
        )
        return dict(challenge.to_dict())

    def check(self, payload: str, action: str) -> Proof | None:
        """The proof, or None where it is malformed, forged, too old, unsolved, or of another action."""
        import altcha

        if len(payload) > MAXIMUM_LENGTH or not payload.isascii():
            return None
        try:
            told = json.loads(base64.b64decode(payload))
            challenge = altcha.Challenge.from_dict(told["challenge"])
            solution = altcha.Solution.from_dict(told["solution"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        expires_at = challenge.parameters.expires_at
        if type(expires_at) is not int or expires_at <= self._clock():
            return None
        challenge.parameters.expires_at = _Asked(expires_at)
        given = altcha.Payload(challenge, solution)
        if not any(
            altcha.verify_solution(given, key, hmac_key_secret=key).verified for key in self._keys
        ):
            return None
        data = challenge.parameters.data or {}
        if data.get("action") != action:
            return None
        return Proof(challenge.parameters.nonce, data.get("login"))


class _Asked(int):
    """An expiry that was compared already: altcha would ask the machine's clock, and not ours."""

    def __lt__(self, other: object) -> bool:
        return False
