"""Checks of a caller's identity: counted before the comparison, and remembered where they match."""

from __future__ import annotations

from pynamodb.transactions import TransactWrite

from ..domain.errors import TooManyAttempts, Unavailable
from ..domain.limits import DAY, HOUR, Limits, retry_after
from .dynamo import ConditionFailed, prepend, raw_list, transact, update, within_limits
from .ephemeral_models import IdentityItem

MATCH_LIFETIME = HOUR
"""Seconds for which a check that matched permits proposals."""


def match_key(firm_no: str, subject: str) -> str:
    """Return the key of a check that matched, of one firm by one member of the staff."""
    return f"identity-ok#{firm_no}#{subject}"


class IdentityChecks:
    """The counts and the matches."""

    def __init__(self, limits: Limits) -> None:
        self._windows = (
            limits.wrong_identity_checks_per_firm,
            limits.wrong_identity_checks_per_staff,
        )

    def count(self, firm_no: str, subject: str, now: int) -> None:
        """Count a check as wrong, of the firm and of the member of the staff, in one transaction.

        Whoever guesses is stopped at the firm; a member of the staff who goes through many firms is
        stopped there. Raises TooManyAttempts with the seconds to wait, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            for key, windows in zip(_keys(firm_no, subject), self._windows, strict=True):
                transaction.update(
                    IdentityItem(key),
                    [prepend(IdentityItem.wrongs, now), IdentityItem.expires_at.set(now + DAY)],
                    within_limits(IdentityItem.wrongs, windows, now),
                    return_values="ALL_OLD",
                )

        try:
            transact(build, IdentityItem)
        except ConditionFailed as refused:
            waits = [
                retry_after(raw_list(item, "wrongs"), windows, now)
                for item, windows in zip(refused.items, self._windows, strict=True)
            ]
            raise TooManyAttempts(max(1, *waits), "identity-checks") from None

    def match(self, firm_no: str, subject: str, now: int) -> None:
        """Remember a check that matched and remove its counts. Raises Unavailable.

        A count that cannot be removed stays until it leaves its window.
        """
        update(
            IdentityItem(match_key(firm_no, subject)),
            [IdentityItem.expires_at.set(now + MATCH_LIFETIME)],
        )
        for key in _keys(firm_no, subject):
            newest = IdentityItem.wrongs[0]
            try:
                update(IdentityItem(key), [newest.remove()], newest == now)
            except (ConditionFailed, Unavailable):
                continue


def _keys(firm_no: str, subject: str) -> tuple[str, str]:
    return f"identity#{firm_no}", f"identity-by#{subject}"
