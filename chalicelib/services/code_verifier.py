"""Verify the code that a person entered: count the attempt first, then compare."""

from __future__ import annotations

import logging

from ..domain.errors import CodeWrong, ServiceError
from ..domain.requester import Requester
from ..store.budgets import Budget
from ..store.codes import Codes, ConsumedAttempt, UsedCode
from .code_issuer import CodeIssuer
from .ports import Count

log = logging.getLogger(__name__)

_METHODS = ("sms", "wechat")


class CodeVerifier:
    """Compares codes within the limits of the requester, the login and the whole service.

    The first attempt on a code by the requester that it was sent for is compared after the one write
    that counts it for the login, and counted for the requester if it was wrong. Every other attempt is
    counted for the requester first.
    """

    def __init__(self, *, codes: Codes, issuer: CodeIssuer, budget: Budget, count: Count) -> None:
        """`budget` limits the wrong codes of the whole service."""
        self._codes = codes
        self._issuer = issuer
        self._budget = budget
        self._count = count

    def verify(
        self, login: str, requester: Requester, openid: str | None, code: str, now: int
    ) -> ConsumedAttempt | UsedCode:
        """Count an attempt and return it if the code is right.

        `openid` is the requester's where the login's codes go to this very WeChat, else None. Returns
        UsedCode, neither counted nor compared, where the last code was used before. Raises CodeWrong,
        CodeExpired, TooManyAttempts, TooManyRequests, Unavailable.
        """
        attempt = self._codes.consume_attempt(login, requester, openid, now)
        if isinstance(attempt, UsedCode):
            return attempt
        is_strict = self._budget.is_full(now)
        if is_strict or not attempt.is_first_of_sender:
            self._codes.count_wrong(login, requester, now, is_strict=is_strict)
            attempt = attempt._replace(is_recorded=True)
        if not self._issuer.matches(code, attempt.digest, login, attempt.method):
            self._wrong(login, attempt, now)
            raise CodeWrong(attempt.attempts_left)
        return attempt

    def _wrong(self, login: str, attempt: ConsumedAttempt, now: int) -> None:
        self._count("CodeWrong")
        try:
            if not attempt.is_recorded:
                self._codes.record_wrong(login, attempt.requester, now)
            self._budget.add(now)
        except ServiceError as error:
            # The attempt itself is counted, and its answer is that of a wrong code in any case.
            log.warning("a wrong code was not recorded: %s", type(error).__name__)

    def matches_used(self, login: str, code: str, used: UsedCode) -> bool:
        """Compare a code with one that was used; the method of a used code is not stored."""
        return any(self._issuer.matches(code, used.digest, login, method) for method in _METHODS)
