"""Guess the codes of logins, as often as the service compares guesses."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.codes import LIFETIME
from chalicelib.domain.limits import HOUR, MINUTE
from tests.perf.abuse.requester import Answer, Requester
from tests.perf.abuse.target import Target

PASSWORD = "Falsch-geraten-7x"
_TOKEN_LIFETIME = 25 * MINUTE
"""Seconds for which a recovery is used; it lives for thirty minutes."""


@dataclass
class LiveCode:
    """A login's code, as the attackers who share what they see are aware of it."""

    number: int = 0
    expires_at: int = 0


@dataclass
class Guesser:
    """One requester who guesses the codes of one login."""

    requester: Requester
    login: str
    live: LiveCode = field(default_factory=LiveCode)
    change_address: bool = False
    """Whether to try once more from another address where a start is refused."""
    compared: int = 0
    """Guesses that the service compared with a code."""
    chance: float = 0
    """Chance that one of them was right, at the number of digits of the code that was compared."""
    _token: str = ""
    _started_at: int = 0
    _tried_out: int = -1
    """Number of the code on which this requester has no try left."""
    _resend_at: int = 0

    def turn(self, codes: int = 1_000) -> int:
        """Guess until refused, on at most so many codes; return the seconds until it may go on."""
        target = self.requester.target
        refused = self._start()
        used = 0
        while refused is None:
            if self.live.expires_at > target.now and self._tried_out != self.live.number:
                refused = self._guess()
            elif used >= codes:
                return max(0, self._resend_at - target.now)
            else:
                used += 1
                target.wait_until(self._resend_at)
                refused = self._send()
        return refused

    def _start(self) -> int | None:
        target = self.requester.target
        if self._token and target.now < self._started_at + _TOKEN_LIFETIME:
            return None
        begin = (
            self.requester.start_from_any_address if self.change_address else self.requester.start
        )
        started = begin(self.login)
        if not started.ok:
            return started.retry_after or HOUR
        self._token, self._started_at = str(started.body["token"]), target.now
        return None

    def _send(self) -> int | None:
        target = self.requester.target
        sent = self.requester.send(self._token)
        if not sent.ok:
            self._forget_token_if_ended(sent)
            return sent.retry_after or HOUR
        self.live.number += 1
        self.live.expires_at = target.now + LIFETIME
        self._resend_at = target.now + int(sent.body["resend_in"])
        return None

    def _guess(self) -> int | None:
        right = self.requester.target.codes(self.login)[-1]
        # A guess that happened to be right would end the attack.
        digit = "1" if right == "0" * len(right) else "0"
        answer = self.requester.confirm(self._token, digit * len(right), PASSWORD)
        if answer.code == "code-wrong":
            self.compared += 1
            self.chance += 10.0 ** -len(right)
            if answer.body.get("attempts_left") == 0:
                self._tried_out = self.live.number
            return None
        if answer.code == "code-expired":
            self.live.expires_at = 0
            return None
        if answer.code == "too-many-attempts" and answer.retry_after is None:
            self._tried_out = self.live.number
            return None
        self._forget_token_if_ended(answer)
        return answer.retry_after or HOUR

    def _forget_token_if_ended(self, answer: Answer) -> None:
        if answer.code == "recovery-expired":
            self._token = ""


class Attackers:
    """Attackers who act again as soon as the service would accept it."""

    def __init__(self, target: Target, turns: Sequence[Callable[[], int]]) -> None:
        """A turn acts until it is refused and returns the seconds until it may go on."""
        self._target = target
        self._turns = turns
        self._due = [(target.now, number) for number in range(len(turns))]

    def act_until(self, time: int) -> None:
        """Move the clock to `time`, epoch seconds, and take each turn that is due until then."""
        while self._due[0][0] <= time:
            due, number = self._due[0]
            self._target.wait_until(due)
            pause = self._turns[number]()
            heapq.heapreplace(self._due, (self._target.now + max(MINUTE, pause), number))
        self._target.wait_until(time)
