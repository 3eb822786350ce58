"""Which logins one visitor has touched, for a caller who says that it was not them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from ...domain.catalogue import INPUT_REASONS
from ...domain.errors import InvalidInput
from ...domain.staff import Staff
from ...store import audit_days
from ..notifications import BEIJING
from .journal import Journal

_MARK = re.compile(r"[0-9a-f]{16}", re.ASCII)

_DAYS = 2
_MOST_EVENTS = 2_000
_MOST_LOGINS = 50


@dataclass(frozen=True)
class TouchedLogin:
    """A login, and how many events of the visitor it has."""

    login: str
    events: int


class RequesterTrail:
    """Reads the audit of today and yesterday by visitor."""

    def __init__(self, *, clock: Callable[[], int], journal: Journal) -> None:
        self._clock = clock
        self._journal = journal

    def touched(self, staff: Staff, mark: str) -> list[TouchedLogin]:
        """Return the logins that a visitor has touched since yesterday, the busiest first.

        `mark` is the keyed digest in the audit's events. At most fifty logins. Raises InvalidInput,
        Unavailable.
        """
        if not _MARK.fullmatch(mark):
            raise InvalidInput("requester", INPUT_REASONS["requester"])
        self._journal.looked(staff, "desk-requester", outcome=mark)
        today = datetime.fromtimestamp(self._clock(), UTC).astimezone(BEIJING).date()
        counts: Counter[str] = Counter()
        for number in range(_DAYS):
            day = (today - timedelta(days=number)).isoformat()
            for event in islice(audit_days.events(day, requester=mark), _MOST_EVENTS):
                counts[event.login] += event.event.occurrences or 1
        return [TouchedLogin(login, count) for login, count in counts.most_common(_MOST_LOGINS)]
