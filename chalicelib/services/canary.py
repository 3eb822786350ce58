"""The canary: a whole recovery of the test firm, over HTTP as people's are."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from ..domain import canary
from ..domain.errors import ServiceError
from ..security.proof_of_work import solve
from ..store import canary as store

SEALING_PURPOSE = "canary-code"
"""The purpose that the code in the mailbox is encrypted for."""

LONGEST_PROOF = 30
"""Seconds that a proof of work may take, some thirty times the ordinary one."""

_DIGITS = 10**8


class SiteResponse(NamedTuple):
    """An answer of the site; status 0 where there was none, an empty body where it is no JSON object."""

    status: int
    body: Mapping[str, Any]


class Site(Protocol):
    """The site as one visitor, or as the login page's server, sees it."""

    def request(
        self, path: str, body: Mapping[str, str] | None = None, token: str | None = None
    ) -> SiteResponse:
        """Send the visitor's request: GET, or POST with a body."""

    def verify(self, body: Mapping[str, str]) -> SiteResponse:
        """Send a request to `/credentials/verify`, signed by this function's role."""


class CanaryResult(NamedTuple):
    """A run: its last step, and what that failed with (status and error code); None after a success."""

    milliseconds: int
    step: str
    problem: str | None


class _StepFailed(Exception):
    """A step was answered otherwise than expected."""

    def __init__(self, step: str, problem: str) -> None:
        super().__init__(f"{step}: {problem}")
        self.step = step
        self.problem = problem


class Canary:
    """Recovers the test firm's password and logs in with it."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        firm: str,
        unseal: Callable[[str, str], str | None],
        randbelow: Callable[[int], int],
    ) -> None:
        """`firm` is the test firm's number; `unseal` is `Sealer.unseal`."""
        self._clock = clock
        self._firm = firm
        self._unseal = unseal
        self._randbelow = randbelow

    def run(self, connect: Callable[[str], Site]) -> CanaryResult:
        """Make one recovery, as a visitor who has not been seen before.

        `connect` returns the site for a visitor with this openid. Each run has an openid and a phone of
        its own: the limits hold for it as for everybody, and earlier runs do not count. Raises
        Unavailable where the store does not answer this function itself.
        """
        store.prepare_login(self._firm, canary.phone(self._randbelow(_DIGITS)))
        site = connect(canary.visitor(secrets.token_hex(8)))
        began = time.monotonic()
        step, problem = "verify", None
        try:
            self._recover(site)
        except _StepFailed as failure:
            step, problem = failure.step, failure.problem
        return CanaryResult(round(1_000 * (time.monotonic() - began)), step, problem)

    def _recover(self, site: Site) -> None:
        login = {"login": self._firm}
        challenge = _body("proof", site.request(f"/proof?{urlencode(login)}"), 200)
        proof = solve(challenge, LONGEST_PROOF)
        if proof is None:
            raise _StepFailed("proof", "no solution")
        start = {"user_type": "firm", **login, "proof": proof}
        started = _body("start", site.request("/recovery", start), 201)
        if started.get("method") != "sms":
            raise _StepFailed("start", f"method {started.get('method')}")
        token = str(started.get("token"))
        _body("code", site.request("/recovery/code", {}, token), 202)
        # Letters of both cases and digits, whatever the random ones are.
        password = f"Aa1-{secrets.token_urlsafe(24)}"
        confirm = {"code": self._code(), "password": password}
        _body("password", site.request("/recovery/password", confirm, token), 200)
        verified = _body("verify", site.verify({**login, "password": password}), 200)
        if (verified.get("valid"), verified.get("must_change")) != (True, False):
            raise _StepFailed("verify", "the new password is not valid")

    def _code(self) -> str:
        try:
            sealed = store.kept(self._firm, self._clock())
        except ServiceError as error:
            raise _StepFailed("mailbox", error.code) from None
        code = None if sealed is None else self._unseal(SEALING_PURPOSE, sealed)
        if code is None:
            raise _StepFailed("mailbox", "no code")
        return code


def _body(step: str, response: SiteResponse, expected: int) -> Mapping[str, Any]:
    if response.status != expected:
        raise _StepFailed(step, f"{response.status} {response.body.get('code', '')}".strip())
    return response.body
