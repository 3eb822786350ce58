"""The one clock of the local stack, which the demo moves forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from chalicelib.services.notifications import BEIJING


class MovableClock:
    """The machine's clock and the seconds by which the demo is ahead of it.

    The service and the simulators read it. Signatures of AWS requests do not: their callers sign
    with the machine's clock. Calling the clock returns epoch seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._ahead = 0

    def __call__(self) -> int:
        return int(self._wall()) + self._ahead

    @property
    def ahead(self) -> int:
        """The seconds between the machine's clock and this one."""
        return self._ahead

    def move(self, seconds: int) -> None:
        """Move forward. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("the clock moves forward only")
        self._ahead += seconds

    def move_to_new_year(self) -> None:
        """Move to the next 1 January, 00:00 in Beijing."""
        now = self()
        self.move(next_new_year(now) - now)

    def reset(self) -> None:
        """Return to the machine's time."""
        self._ahead = 0


def next_new_year(now: int) -> int:
    """Return the next 1 January, 00:00 in Beijing, after `now`; both in epoch seconds."""
    year = datetime.fromtimestamp(now, BEIJING).year
    return int(datetime(year + 1, 1, 1, tzinfo=BEIJING).timestamp())
