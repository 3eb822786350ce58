"""Proof of work: ALTCHA challenges, bound to an action and, where it is known, to a login."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

LIFETIME = 300
"""Seconds in which a challenge must be solved and returned."""

ALGORITHM = "PBKDF2/SHA-256"
COST = 1_000
"""PBKDF2 rounds of one try; about 0.3 ms in a phone's browser."""
COUNTERS = range(1_500)
"""The solution of an ordinary challenge is one of these, each equally likely: 750 tries on average.

It starts at 0, where every solver starts. A first solution above that would be work for honest
solvers alone: others would skip the counters before it.
"""

MAXIMUM_FACTOR = 4_096
"""The greatest factor of a challenge; its counters need 23 of the 32 bits that solvers have for one."""

MAXIMUM_LENGTH = 4_096


class Proof(NamedTuple):
    """A solved challenge. `id` is unique; `login` is None where the challenge named none."""

    id: str
    login: str | None
    factor: int
    """How many times the ordinary work it stands for."""


class Proofs:
    """Makes challenges and checks their solutions; the store records which ones were used."""

    def __init__(
        self, keys: Sequence[bytes], clock: Callable[[], int], *, cost: int = COST
    ) -> None:
        """`keys` newest first; the keys of proofs are derived from them."""
        self._keys = [hashlib.sha256(b"login-recovery.proof\0" + key).digest() for key in keys]
        self._clock = clock
        self._cost = cost

    def challenge(self, action: str, login: str | None, factor: int = 1) -> dict[str, Any]:
        """Return an ALTCHA v2 challenge as the widget and the page read it.

        It requires `factor` times the ordinary work on average. More counters, and not more rounds
        in each: one try costs the service the same at any factor. The factor is signed with the rest.
        """
        import altcha

        data: dict[str, Any] = {"action": action, "factor": factor}
        if login is not None:
            data["login"] = login
        challenge = altcha.create_challenge(
            ALGORITHM,
            self._cost,
            counter=COUNTERS.start + secrets.randbelow(len(COUNTERS) * factor),
            expires_at=self._clock() + LIFETIME,
            data=data,
            hmac_secret=self._keys[0],
            hmac_key_secret=self._keys[0],
        )
        return dict(challenge.to_dict())

    def check(self, payload: str, action: str, factor: int = 1) -> Proof | None:
        """Return the proof of at least `factor` times the ordinary work for the action.

        None where it is malformed, forged, too old, unsolved, of another action, or of less work.
        """
        import altcha

        if len(payload) > MAXIMUM_LENGTH or not payload.isascii():
            return None
        try:
            parsed = json.loads(base64.b64decode(payload))
            challenge = altcha.Challenge.from_dict(parsed["challenge"])
            solution = altcha.Solution.from_dict(parsed["solution"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        expires_at = challenge.parameters.expires_at
        if type(expires_at) is not int or expires_at <= self._clock():
            return None
        challenge.parameters.expires_at = _CheckedExpiry(expires_at)
        solved = altcha.Payload(challenge, solution)
        if not any(
            altcha.verify_solution(solved, key, hmac_key_secret=key).verified for key in self._keys
        ):
            return None
        # Signed, and still perhaps of another release's shape: one without factors made ordinary ones.
        data = challenge.parameters.data
        if not isinstance(data, dict) or data.get("action") != action:
            return None
        login, worth = data.get("login"), data.get("factor", 1)
        if not isinstance(login, str | None) or type(worth) is not int or worth < factor:
            return None
        return Proof(challenge.parameters.nonce, login, worth)


def solve(challenge: Mapping[str, Any], longest: float) -> str | None:
    """Return the proof of a challenge as `POST /recovery` accepts it.

    None where the challenge is malformed, or not solved within `longest` seconds.
    """
    import altcha

    try:
        parsed = altcha.Challenge.from_dict(dict(challenge))
        solution = altcha.solve_challenge(parsed, timeout=longest)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if solution is None else altcha.Payload(parsed, solution).to_base64()


class _CheckedExpiry(int):
    """An expiry that was compared already: altcha would compare it with the machine's clock."""

    def __lt__(self, other: object) -> bool:
        return False
