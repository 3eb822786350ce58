"""A client of the API: an attacker, an owner or another visitor, with the costs of its requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chalice.test import HTTPResponse

from chalicelib.domain.limits import MINUTE
from chalicelib.security.proof_of_work import COST
from tests.perf.abuse.target import Target
from tests.perf.proofs import Solved, derivation_cpu_s, start_with_proof


class Answer(NamedTuple):
    """A response: its status, and the members of its body."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def code(self) -> str:
        """The problem's code; empty where there is none."""
        return str(self.body.get("code", ""))

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait, where waiting helps."""
        found = self.body.get("retry_after")
        return int(found) if found else None


class ServiceFailed(Exception):
    """The service or its doubles failed; it neither permitted nor refused anything."""


@dataclass
class Requester:
    """Somebody with an address and perhaps a WeChat, whose requests are counted."""

    target: Target
    openid: str | None
    address: str
    full_proof: bool = False
    requests: int = 0
    derivations: int = 0
    factor: int = 1
    """The greatest factor of the ordinary work that a start required."""
    _solved_cpu_s: float = 0
    _hops: int = field(default=0, repr=False)

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the proofs of work."""
        if self.full_proof:
            return self._solved_cpu_s
        return self.derivations * derivation_cpu_s(COST)

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> Answer:
        """Send one request. Raises ServiceFailed for a 5xx, which no attack may be measured by."""
        self.requests += 1
        self.target.client.address = self.address
        response = self.target.world.call(method, path, body, token=token, openid=self.openid)
        answer = _answer(response)
        if answer.status >= 500:
            raise ServiceFailed(f"{method} {path.partition('?')[0]}: {answer.status} {answer.code}")
        return answer

    def start(self, login: str) -> Answer:
        """Begin a recovery, with as much work as the service requires."""
        return Answer(
            *start_with_proof(
                login,
                lambda path: self.call("GET", path),
                lambda body: self.call("POST", "/recovery", body),
                self._add_work,
            )
        )

    def _add_work(self, solved: Solved) -> None:
        self.derivations += solved.derivations
        self._solved_cpu_s += solved.cpu_s
        self.factor = max(self.factor, solved.factor)

    def start_from_any_address(self, login: str) -> Answer:
        """Begin a recovery; after a refusal once more from another address, as phones change theirs."""
        answer = self.start(login)
        if answer.code != "too-many-requests":
            return answer
        self._hops += 1
        self.address = f"203.0.{113 + self._hops // 250}.{1 + self._hops % 250}"
        return self.start(login)

    def send(self, token: str) -> Answer:
        """Have a code sent."""
        return self.call("POST", "/recovery/code", {}, token)

    def confirm(self, token: str, code: str, password: str) -> Answer:
        """Enter a code and a new password."""
        body = {"code": code, "password": password}
        return self.call("POST", "/recovery/password", body, token)

    def unbind(self, token: str, firm_no: str, approval_no: str, head_name: str) -> Answer:
        """Enter the details of a firm."""
        body = {"firm_no": firm_no, "approval_no": approval_no, "head_name": head_name}
        return self.call("POST", "/recovery/unbinding", body, token)

    def sign_in(self, login: str, password: str) -> Answer:
        """Enter login and password at the login page, whose server verifies them."""
        return self.call("POST", "/credentials/verify", {"login": login, "password": password})


def _answer(response: HTTPResponse) -> Answer:
    return Answer(response.status_code, dict(response.json_body) if response.body else {})


class Journey(NamedTuple):
    """How far a person came: `yes`, or the code of the problem, for each step; then nothing."""

    start: str = ""
    code: str = ""
    confirm: str = ""
    sign_in: str = ""
    factor: int = 1
    """The greatest factor of the ordinary work that the start required."""
    waited_s: int = 0
    retry_after: int | None = None
    """Seconds after which the refused step may be tried again."""

    @property
    def complete(self) -> bool:
        return self.sign_in == "yes"

    def __str__(self) -> str:
        if not self.complete:
            steps = zip(("start", "code", "confirm", "sign-in"), self[:4], strict=True)
            step, problem = [(step, outcome) for step, outcome in steps if outcome][-1]
            return f"no: {step} {problem}"
        minutes = math.ceil(self.waited_s / MINUTE)
        waited = f" after {minutes} min" if minutes else ""
        return f"yes{waited}" + (f" (proof ×{self.factor})" if self.factor > 1 else "")


def recover(person: Requester, login: str) -> Journey:
    """Recover a login whose phone or WeChat this person has, and sign in."""
    started = person.start(login)
    if not started.ok:
        return Journey(started.code, factor=person.factor, retry_after=started.retry_after)
    token, target = str(started.body["token"]), person.target
    before = len(target.codes(login))
    sent = person.send(token)
    received = target.codes(login)
    # A code that somebody else triggered has reached the same phone, and may be used.
    if not sent.ok and not (sent.code == "too-many-requests" and before):
        return Journey("yes", sent.code, factor=person.factor, retry_after=sent.retry_after)
    password = f"Neu-gesetzt-{target.now % 100_000}x"
    confirmed = person.confirm(token, received[-1], password)
    if not confirmed.ok:
        wait = confirmed.retry_after or sent.retry_after
        if not sent.ok and confirmed.code == "code-expired":
            return Journey("yes", sent.code, factor=person.factor, retry_after=wait)
        sending = "yes" if sent.ok else sent.code
        return Journey("yes", sending, confirmed.code, factor=person.factor, retry_after=wait)
    signed_in = person.sign_in(login, password)
    valid = signed_in.ok and signed_in.body["valid"] and not signed_in.body["must_change"]
    return Journey(
        "yes", "yes", "yes", "yes" if valid else signed_in.code or "invalid", person.factor
    )


def recover_within(
    person: Requester, login: str, patience_s: int, meanwhile: Callable[[int], None]
) -> Journey:
    """Recover a login, trying again after each refusal for as long as the patience lasts.

    `meanwhile` moves the clock to a time, epoch seconds; the attackers act until then.
    """
    target, began = person.target, person.target.now
    while True:
        journey = recover(person, login)
        waited = target.now - began
        wait = journey.retry_after or MINUTE
        if journey.complete or waited + wait > patience_s:
            return journey._replace(waited_s=waited)
        meanwhile(target.now + wait)
