"""How often a thing may be done: the one table, and the arithmetic of sliding windows.

A window's record is a list of epoch seconds, newest first. `limit` events fit into the last
`seconds` exactly when the entry at index `limit - 1` is missing or has left the window; the store
states that as a condition of one write, and this module states it for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MINUTE = 60
HOUR = 3_600
DAY = 86_400


class Window(NamedTuple):
    """At most `limit` events in any `seconds` in a row."""

    limit: int
    seconds: int


@dataclass(frozen=True)
class Limits:
    """Every limit of the service; each is a setting named `LIMIT_` + the field in upper case."""

    starts_per_login_hour: int = 30
    starts_per_address_hour: int = 60
    sends_per_destination_minute: int = 1
    sends_per_destination_hour: int = 5
    sends_per_destination_day: int = 10
    sends_per_login_day: int = 10
    sends_per_service_hour: int = 2_000
    tries_per_code: int = 5
    wrong_codes_per_login_day: int = 10
    wrong_codes_per_service_hour: int = 1_000
    wrong_details_per_login_day: int = 5
    wrong_passwords_per_login_half_hour: int = 5
    wrong_passwords_per_service_hour: int = 2_000

    @property
    def starts_per_login(self) -> tuple[Window, ...]:
        return (Window(self.starts_per_login_hour, HOUR),)

    @property
    def starts_per_address(self) -> tuple[Window, ...]:
        return (Window(self.starts_per_address_hour, HOUR),)

    @property
    def sends_per_destination(self) -> tuple[Window, ...]:
        return (
            Window(self.sends_per_destination_minute, MINUTE),
            Window(self.sends_per_destination_hour, HOUR),
            Window(self.sends_per_destination_day, DAY),
        )

    @property
    def sends_per_login(self) -> tuple[Window, ...]:
        return (Window(self.sends_per_login_day, DAY),)

    @property
    def wrong_codes_per_login(self) -> tuple[Window, ...]:
        return (Window(self.wrong_codes_per_login_day, DAY),)

    @property
    def wrong_details_per_login(self) -> tuple[Window, ...]:
        return (Window(self.wrong_details_per_login_day, DAY),)

    @property
    def wrong_passwords_per_login(self) -> tuple[Window, ...]:
        return (Window(self.wrong_passwords_per_login_half_hour, 30 * MINUTE),)


def retry_after(events: Sequence[int], windows: Sequence[Window], now: int) -> int:
    """Seconds until one more event fits into every window; 0 where it fits now.

    `events` are epoch seconds, newest first.
    """
    waits = [
        events[window.limit - 1] + window.seconds - now
        for window in windows
        if len(events) >= window.limit
    ]
    return max([0, *waits])
