"""Proof of work: ALTCHA challenges, bound to an action and, where it is known, to a login."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altcha

LIFETIME = 300
"""Seconds in which a challenge must be solved and handed in."""

ALGORITHM = "PBKDF2/SHA-256"
COST = 1_000
"""PBKDF2 rounds of one try; about 0.3 ms in a phone's browser."""
COUNTERS = range(500, 1_500)
"""The solution lies in here, so that every challenge takes about the same time: 0.2 to 1 s."""

MAXIMUM_LENGTH = 4_096


@dataclass(frozen=True)
class Proof:
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
        if len(payload) > MAXIMUM_LENGTH or not payload.isascii():
            return None
        for key in self._keys:
            # altcha compares the expiry with the machine's clock; ours is asked below.
            result = altcha.verify_solution(payload, key, hmac_key_secret=key)
            if result.verified:
                break
        else:
            return None
        parameters = json.loads(base64.b64decode(payload))["challenge"]["parameters"]
        data = parameters["data"]
        if parameters["expiresAt"] <= self._clock() or data["action"] != action:
            return None
        return Proof(parameters["nonce"], data.get("login"))
