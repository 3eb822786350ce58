"""The login page asks: is this the password, and must it be changed?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.errors import TooManyAttempts
from ..domain.limits import MINUTE
from ..domain.logins import parse_login
from ..security.password_hasher import PasswordHasher
from ..store.budgets import Budget
from ..store.logins import Credentials, Logins
from .ports import Count

log = logging.getLogger(__name__)

# Attempts that came within so many seconds may still be under way, and be taken back if right.
_AT_ONCE = 2
_PAUSES = (0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Verified:
    """The answer. Of a password that is not right it says nothing more than that."""

    valid: bool
    must_change: bool
    """The password is a default one: the person must recover the login before they may use it."""
    changed_at: int
    """When the password was set, epoch seconds; 0 where it is not right."""


_WRONG = Verified(valid=False, must_change=False, changed_at=0)


class CredentialCheck:
    """Compares passwords for the login page's own server."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], None],
        logins: Logins,
        hasher: PasswordHasher,
        wrongs_budget: Budget,
        count: Count,
    ) -> None:
        """`pause` waits for a number of seconds."""
        self._clock = clock
        self._pause = pause
        self._logins = logins
        self._hasher = hasher
        self._wrongs_budget = wrongs_budget
        self._count = count

    def verify(self, login_text: str, password: str) -> Verified:
        """Whether the password is the login's.

        An unknown login, and one without a password, takes the time of a wrong password and gets
        its answer. Raises InvalidInput; TooManyAttempts where the login is locked; TooManyRequests
        where the whole service has seen too many wrong passwords.
        """
        login = str(parse_login(login_text))
        self._wrongs_budget.check(self._clock())
        try:
            stored = self._counted(login)
        except TooManyAttempts:
            self._count("PasswordVerified", outcome="locked")
            raise
        if stored is None or stored.password_hash is None:
            self._hasher.verify_nothing(password)
            return self._wrong()
        if not self._hasher.verify(stored.password_hash, password):
            return self._wrong()
        stale = self._hasher.needs_rehash(stored.password_hash)
        self._logins.refund_attempt(stored, self._hasher.hash(password) if stale else None)
        if stale:
            log.info("a password was hashed anew")
        self._count("PasswordVerified", outcome="must-change" if stored.must_change else "right")
        return Verified(True, stored.must_change, stored.changed_at)

    def _counted(self, login: str) -> Credentials | None:
        for pause in _PAUSES:
            try:
                return self._logins.count_password(login, self._clock())
            except TooManyAttempts as locked:
                # Nobody types five wrong passwords in two seconds. But several programs may ask at
                # once with the right one, and each is counted until it has been compared.
                if (locked.retry_after or 0) < 30 * MINUTE - _AT_ONCE:
                    raise
            self._pause(pause)
        return self._logins.count_password(login, self._clock())

    def _wrong(self) -> Verified:
        self._count("PasswordVerified", outcome="wrong")
        self._wrongs_budget.count(self._clock())
        return _WRONG
