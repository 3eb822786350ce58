"""The budgets of the whole service, and the work that a start requires while one is used up."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.limits import DOUBLINGS, UNBINDINGS_HARD_FACTOR, Limits
from ..security.proof_of_work import MAXIMUM_FACTOR
from ..store.budgets import Budget


class ServiceBudgets:
    """One object for each budget, shared by everything that counts in it."""

    def __init__(self, limits: Limits, randbelow: Callable[[int], int]) -> None:
        """`randbelow` is `secrets.randbelow` outside tests."""
        # The starts of a login under attack require up to `1 << DOUBLINGS` times as much.
        greatest = MAXIMUM_FACTOR >> DOUBLINGS
        self._full_factor = min(limits.full_budget_proof_factor, greatest)
        self.sends = Budget(
            "sends", limits.sends_per_service_hour, randbelow, limits.sends_hard_factor
        )
        """Codes and notices; its hard limit ends all SMS of the hour."""
        self.wrong_codes = Budget("wrong-codes", limits.wrong_codes_per_service_hour, randbelow)
        self.unbindings = Budget(
            "unbindings", limits.unbindings_per_service_hour, randbelow, UNBINDINGS_HARD_FACTOR
        )
        passwords = limits.wrong_passwords_per_service_hour
        self.wrong_passwords = Budget("wrong-passwords", passwords, randbelow)
        self.unknown_logins = Budget("unknown-logins", passwords, randbelow)

    def proof_factor(self, now: int) -> int:
        """Return how many times the ordinary proof of work every start requires at `now`.

        `now` in epoch seconds. More than 1 while this instance has seen a budget used up.
        """
        soft = (self.sends, self.wrong_codes, self.unbindings)
        return self._full_factor if any(budget.is_full(now) for budget in soft) else 1
