"""Verify a password for the login page: whether it is right, and whether it must be changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.errors import TooManyAttempts, TooManyRequests
from ..domain.limits import MINUTE
from ..domain.logins import parse_login
from ..security.password_hasher import PasswordHasher
from ..store.budgets import Budget
from ..store.logins import Credentials, Logins
from .ports import Count

log = logging.getLogger(__name__)

# Attempts of the last seconds may still be in progress, and are refunded if they are right.
_IN_PROGRESS = 2
_PAUSES = (0.1, 0.2, 0.4)


@dataclass(frozen=True)
class VerifyResult:
    """The result. For a wrong password the other fields are the same whatever the login is."""

    valid: bool
    must_change: bool
    """Whether the password is a default one: the login must be recovered before it may be used."""
    changed_at: int
    """When the password was set, epoch seconds; 0 where it is not right."""
    frozen: bool = False
    """Whether the login was frozen, so that no password of it is valid."""


_WRONG = VerifyResult(valid=False, must_change=False, changed_at=0)


class CredentialCheck:
    """Verifies passwords for the server of the login page."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], None],
        logins: Logins,
        hasher: PasswordHasher,
        wrongs_budget: Budget,
        unknown_budget: Budget,
        count: Count,
    ) -> None:
        """`pause` waits for a number of seconds.

        `wrongs_budget` counts wrong passwords of logins that exist. `unknown_budget` counts those of
        logins that do not; it raises alarms and refuses nobody.
        """
        self._clock = clock
        self._pause = pause
        self._logins = logins
        self._hasher = hasher
        self._wrongs_budget = wrongs_budget
        self._unknown_budget = unknown_budget
        self._count = count

    def verify(self, login_text: str, password: str) -> VerifyResult:
        """Return whether the password is the login's.

        For an unknown login, and for one without a password, time and result are those of a wrong
        password. Raises InvalidInput; TooManyAttempts where the login is locked; TooManyRequests
        for a login with a default password where the budget of wrong passwords of the whole service
        is used up; Unavailable.
        """
        login = str(parse_login(login_text))
        try:
            stored = self._counted(login)
        except TooManyAttempts:
            self._count("PasswordVerified", outcome="locked")
            raise
        if stored is not None and stored.frozen:
            # Nothing is compared, so that the attempt must not help to lock the login.
            self._logins.refund_attempt(stored, None)
            self._count("PasswordVerified", outcome="frozen")
            return VerifyResult(valid=False, must_change=False, changed_at=0, frozen=True)
        if stored is not None and stored.must_change:
            self._check_budget(stored)
        if stored is None or stored.password_hash is None:
            self._hasher.verify_nothing(password)
            return self._wrong(stored)
        if not self._hasher.verify(stored.password_hash, password):
            return self._wrong(stored)
        stale = self._hasher.needs_rehash(stored.password_hash)
        self._logins.refund_attempt(stored, self._hasher.hash(password) if stale else None)
        if stale:
            log.info("a password was rehashed")
        self._count("PasswordVerified", outcome="must-change" if stored.must_change else "right")
        return VerifyResult(True, stored.must_change, stored.changed_at)

    def _counted(self, login: str) -> Credentials | None:
        for pause in _PAUSES:
            try:
                return self._logins.count_password(login, self._clock())
            except TooManyAttempts as locked:
                # Nobody enters five wrong passwords in two seconds. But several programs may verify
                # the right one at once, and each attempt counts until it has been compared.
                if (locked.retry_after or 0) < 30 * MINUTE - _IN_PROGRESS:
                    raise
            self._pause(pause)
        return self._logins.count_password(login, self._clock())

    def _check_budget(self, stored: Credentials) -> None:
        # Default passwords can be guessed, so only theirs are refused once many were wrong: others'
        # right passwords must pass whatever anybody enters.
        try:
            self._wrongs_budget.check(self._clock())
        except TooManyRequests:
            # Nothing was compared, so that the attempt must not help to lock the login.
            self._logins.refund_attempt(stored, None)
            raise

    def _wrong(self, stored: Credentials | None) -> VerifyResult:
        self._count("PasswordVerified", outcome="wrong")
        budget = self._unknown_budget if stored is None else self._wrongs_budget
        try:
            budget.count(self._clock())
        except TooManyRequests:
            if stored is not None and stored.must_change:
                raise
        return _WRONG
