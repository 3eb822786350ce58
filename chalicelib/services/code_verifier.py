"""Verify the code that a person entered: count the attempt first, then compare."""

from __future__ import annotations

from ..domain.errors import CodeWrong
from ..store.budgets import Budget
from ..store.codes import Codes, ConsumedAttempt, UsedCode
from .code_issuer import CodeIssuer
from .ports import Count

_METHODS = ("sms", "wechat")


class CodeVerifier:
    """Compares codes within the limits of the login and the whole service."""

    def __init__(self, *, codes: Codes, issuer: CodeIssuer, budget: Budget, count: Count) -> None:
        """`budget` limits the wrong codes of the whole service."""
        self._codes = codes
        self._issuer = issuer
        self._budget = budget
        self._count = count

    def verify(self, login: str, code: str, now: int) -> ConsumedAttempt | UsedCode:
        """Count an attempt and return it if the code is right.

        Returns UsedCode, neither counted nor compared, where the last code was used before.
        Raises CodeWrong, CodeExpired, TooManyAttempts, TooManyRequests, Unavailable.
        """
        self._budget.check(now)
        attempt = self._codes.consume_attempt(login, now)
        if isinstance(attempt, UsedCode):
            return attempt
        if not self._issuer.matches(code, attempt.digest, login, attempt.method):
            self._count("CodeWrong")
            self._budget.count(now)
            raise CodeWrong(attempt.attempts_left)
        return attempt

    def matches_used(self, login: str, code: str, used: UsedCode) -> bool:
        """Compare a code with one that was used; the method of a used code is not stored."""
        return any(self._issuer.matches(code, used.digest, login, method) for method in _METHODS)
