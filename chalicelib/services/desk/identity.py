"""Compare what a caller says with a firm's facts, without showing the facts."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from ...domain.details import approval_no as fold_approval_no
from ...domain.details import name as fold_name
from ...domain.errors import AccountNotFound
from ...domain.logins import fold, parse_login
from ...domain.staff import Staff
from ...store import closing
from ...store.identity_checks import IdentityChecks
from .journal import Journal


class Identity:
    """Identity checks."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        checks: IdentityChecks,
        journal: Journal,
    ) -> None:
        self._clock = clock
        self._checks = checks
        self._journal = journal

    def check(
        self, staff: Staff, firm_no_text: str, approval_no: str, head_name: str, last4: str
    ) -> bool:
        """Return whether all three facts are right; which one is wrong is not said.

        Counted before the comparison. A match permits proposals by this person for an hour. Raises
        InvalidInput, AccountNotFound, TooManyAttempts, Unavailable.
        """
        now, firm_no = self._clock(), parse_login(firm_no_text).firm_no
        state = closing.read_state(firm_no)
        if state is None or state.is_erased(now):
            raise AccountNotFound
        firm = state.facts
        self._checks.count(firm_no, staff.subject, now)
        # All three are always compared, so that the time does not reveal which one is wrong.
        right = [
            _same(fold_approval_no(approval_no), fold_approval_no(firm.approval_no)),
            _same(fold_name(head_name), fold_name(firm.head_name)),
            _same(fold(last4).upper(), firm.head_id_last4),
        ]
        matches = all(right)
        self._journal.checked(staff, firm_no, "matches" if matches else "differs")
        if matches:
            self._checks.match(firm_no, staff.subject, now)
        return matches


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())
