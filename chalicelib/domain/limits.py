"""All rate limits, and the arithmetic of sliding windows.

The events of a window are stored as a list of epoch seconds, newest first. One more event is
allowed if the entry at index `limit - 1` is missing or at least `seconds` old.
`store.dynamo.within_limits` is that rule as a condition of a write; `retry_after` computes the time
to wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MINUTE = 60
HOUR = 3_600
DAY = 86_400

STARTS_PER_DOUBLING = 10
"""Starts of a login within the hour, beyond its limit, with which the proof of work doubles."""

DOUBLINGS = 6
"""How often it doubles at the most: 64 times the ordinary work, some 15 s on an ordinary phone.

With `full_budget_proof_factor` the longest challenge takes such a phone 230 s, less than its lifetime.
"""

UNBINDINGS_HARD_FACTOR = 10
"""How many times the hour's unbindings of the whole service end every further one."""


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

    starts_per_login_hour: int = limit(
        30,
        "recoveries started for one login in an hour, beyond which the proof of work of its starts "
        "doubles with each further ten",
    )
    starts_per_requester_login_hour: int = limit(
        10, "recoveries of one login started by one requester in an hour"
    )
    logins_per_requester_day: int = limit(
        20, "logins of which one requester starts recoveries in a day"
    )
    starts_per_address_hour: int = limit(
        60, "recoveries started in an hour from one address, outside WeChat"
    )
    sends_per_destination_minute: int = limit(1, "codes to one phone or openid in a minute")
    sends_per_destination_hour: int = limit(5, "codes to one phone or openid in an hour")
    sends_per_destination_day: int = limit(15, "codes to one phone or openid in a day")
    sends_per_login_day: int = limit(5, "codes of one requester for one login in a day")
    sends_per_requester_day: int = limit(20, "codes of one requester for all logins in a day")
    sends_per_service_hour: int = limit(
        2_000,
        "codes of the whole service in an hour, beyond which only requesters pass that have no wrong "
        "code and at most two codes in the last day",
    )
    sends_hard_factor: int = limit(
        10, "how many times the codes of the service in an hour end every further SMS"
    )
    tries_per_code: int = limit(5, "tries of one requester on one code")
    wrong_codes_per_requester_login_day: int = limit(
        10, "wrong codes of one requester on one login in a day, over all its codes"
    )
    wrong_codes_per_requester_day: int = limit(
        20, "wrong codes of one requester on all logins in a day"
    )
    wrong_codes_per_login_day: int = limit(
        100, "wrong codes of all requesters on one login in a day, without those of its own WeChat"
    )
    long_codes_from: int = limit(
        10,
        "wrong codes of all requesters on one login in a day, from which its codes have eight digits",
    )
    wrong_codes_per_service_hour: int = limit(
        1_000,
        "wrong codes of the whole service in an hour, beyond which only requesters pass that have no "
        "wrong code in the last day",
    )
    wrong_details_per_login_day: int = limit(
        5, "attempts of one requester at the unbinding details of one login in a day"
    )
    unbindings_per_login_day: int = limit(3, "unbindings of one login in a day")
    unbindings_per_service_hour: int = limit(
        200,
        "unbindings of the whole service in an hour, beyond which only requesters pass that have "
        "neither unbound another login nor entered wrong details that day; ten times as many end all",
    )
    wrong_passwords_per_login_half_hour: int = limit(
        5, "wrong passwords at /credentials/verify before a login is locked"
    )
    wrong_passwords_per_service_hour: int = limit(
        2_000,
        "wrong passwords at /credentials/verify of the whole service in an hour, beyond which logins "
        "with a default password are refused; those of unknown logins are counted apart, for alarms",
    )

    full_budget_proof_factor: int = limit(
        8, "how many times the ordinary proof of work a start requires while a budget is used up"
    )
    address_factor: int = limit(
        3, "how many times the figures of a requester an address has, behind which an office may be"
    )
    wrong_identity_checks_per_firm_day: int = limit(
        5, "identity checks of one firm at the support desk in a day that did not match"
    )
    wrong_identity_checks_per_staff_day: int = limit(
        20, "identity checks by one member of the support desk's staff in a day that did not match"
    )

    def of_requester(self, figure: int, *, is_address: bool) -> int:
        """Return a figure for one requester: an address has several times that of a WeChat."""
        return figure * self.address_factor if is_address else figure

    def starts_per_requester(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's starts of one login."""
        figure = self.starts_per_requester_login_hour
        return (Window(self.of_requester(figure, is_address=is_address), HOUR),)

    def sends_per_login(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's sends for one login."""
        return self._day_of_requester(self.sends_per_login_day, is_address)

    def sends_per_requester(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's sends for all logins."""
        return self._day_of_requester(self.sends_per_requester_day, is_address)

    def wrong_codes_per_requester_login(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's wrong codes on one login."""
        return self._day_of_requester(self.wrong_codes_per_requester_login_day, is_address)

    def wrong_codes_per_requester(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's wrong codes on all logins."""
        return self._day_of_requester(self.wrong_codes_per_requester_day, is_address)

    def wrong_details(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's attempts at the unbinding details of one login."""
        return self._day_of_requester(self.wrong_details_per_login_day, is_address)

    def unbindings_per_requester(self, *, is_address: bool) -> tuple[Window, ...]:
        """Return the windows of a requester's unbindings: as many as it may start logins."""
        return self._day_of_requester(self.logins_per_requester_day, is_address)

    def _day_of_requester(self, figure: int, is_address: bool) -> tuple[Window, ...]:
        return (Window(self.of_requester(figure, is_address=is_address), DAY),)

    @property
    def wrong_identity_checks_per_firm(self) -> tuple[Window, ...]:
        return (Window(self.wrong_identity_checks_per_firm_day, DAY),)

    @property
    def wrong_identity_checks_per_staff(self) -> tuple[Window, ...]:
        return (Window(self.wrong_identity_checks_per_staff_day, DAY),)

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
    def wrong_codes_per_login(self) -> tuple[Window, ...]:
        return (Window(self.wrong_codes_per_login_day, DAY),)

    @property
    def unbindings_per_login(self) -> tuple[Window, ...]:
        return (Window(self.unbindings_per_login_day, DAY),)

    @property
    def wrong_passwords_per_login(self) -> tuple[Window, ...]:
        return (Window(self.wrong_passwords_per_login_half_hour, 30 * MINUTE),)


def of_last_day(events: Iterable[float], now: int) -> list[int]:
    """Return the events of the last 24 hours, in their order; all times in epoch seconds."""
    return [int(at) for at in events if at > now - DAY]


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
