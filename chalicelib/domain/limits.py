"""All rate limits, and the arithmetic of sliding windows.

The events of a window are stored as a list of epoch seconds, newest first. One more event is
allowed if the entry at index `limit - 1` is missing or at least `seconds` old.
`store.dynamo.within_limits` is that rule as a condition of a write; `retry_after` computes the time
to wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MINUTE = 60
HOUR = 3_600
DAY = 86_400


class Window(NamedTuple):
    """At most `limit` events within any `seconds` seconds."""

    limit: int
    seconds: int


def limit(default: int, about: str) -> int:
    """Declare a field of `Limits` with its default and its description as a setting."""
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Limits:
    """All limits of the service; the setting of each is `LIMIT_` and its name in upper case."""

    starts_per_login_hour: int = limit(30, "recoveries started for one login in an hour")
    starts_per_address_hour: int = limit(60, "recoveries started from one address in an hour")
    sends_per_destination_minute: int = limit(1, "codes to one phone or openid in a minute")
    sends_per_destination_hour: int = limit(5, "codes to one phone or openid in an hour")
    sends_per_destination_day: int = limit(10, "codes to one phone or openid in a day")
    sends_per_login_day: int = limit(10, "codes for one login in a day")
    sends_per_service_hour: int = limit(2_000, "codes of the whole service in an hour")
    tries_per_code: int = limit(5, "tries on one code")
    wrong_codes_per_login_day: int = limit(
        10, "wrong codes on one login in a day, over all its codes"
    )
    wrong_codes_per_service_hour: int = limit(1_000, "wrong codes of the whole service in an hour")
    wrong_details_per_login_day: int = limit(5, "wrong unbinding details on one login in a day")
    wrong_passwords_per_login_half_hour: int = limit(
        5, "wrong passwords at /credentials/verify before a login is locked"
    )
    wrong_passwords_per_service_hour: int = limit(
        2_000,
        "wrong passwords at /credentials/verify of the whole service in an hour, beyond which logins "
        "with a default password are refused; those of unknown logins are counted apart, for alarms",
    )

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
    """Return the seconds until one more event fits into every window; 0 if it fits now.

    `events` are epoch seconds, newest first.
    """
    waits = [
        events[window.limit - 1] + window.seconds - now
        for window in windows
        if len(events) >= window.limit
    ]
    return max([0, *waits])
