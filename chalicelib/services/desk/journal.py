"""Record what the staff looks at; changes are recorded with their own events."""

from __future__ import annotations

from collections.abc import Callable

from ...domain.staff import Staff
from ...store import audit


class Journal:
    """Writes the events of calls that change nothing."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    def looked(
        self, staff: Staff, event: str, *, about: str | None = None, outcome: str | None = None
    ) -> None:
        """Record a look, at the login `about` or at no login in particular.

        Raises Unavailable: what cannot be recorded is not shown.
        """
        now = self._clock()
        item = audit.entry(staff.actor, event, now, actor=staff.actor, about=about, outcome=outcome)
        audit.record(item)

    def checked(self, staff: Staff, firm_no: str, outcome: str) -> None:
        """Record an identity check among the events of the firm's main login. Raises Unavailable."""
        item = audit.entry(
            firm_no, "identity-checked", self._clock(), actor=staff.actor, outcome=outcome
        )
        audit.record(item)
