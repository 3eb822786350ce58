"""Closing of firms: their logins are off at once, and their items expire after a time of grace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynamodb.transactions import TransactWrite

from ..domain.firms import FirmFacts, counts_as_erased
from .accounts import AccountSnapshot, same_destinations, without_code
from .dynamo import read, transact
from .ephemeral_models import CodeItem
from .firms import facts_of
from .models import AuditItem, FirmItem, LoginItem


@dataclass(frozen=True)
class FirmState:
    """A firm, and whether it is closed. Times in epoch seconds."""

    facts: FirmFacts
    closed_at: int | None
    """None where the firm is not closed."""
    erased_at: int | None
    """From when on a closed firm counts as erased."""

    def is_erased(self, now: int) -> bool:
        """Return whether the firm counts as erased; DynamoDB deletes its item some days later."""
        return counts_as_erased(self.erased_at, now)


def read_state(firm_no: str) -> FirmState | None:
    """Return a firm by a consistent read, or None. Raises Unavailable."""
    item = read(FirmItem, firm_no)
    if item is None:
        return None
    closed, erased = (
        None if time is None else int(time) for time in (item.closed_at, item.expires_at)
    )
    return FirmState(facts_of(item), closed, erased)


def close(
    firm_no: str,
    logins: Sequence[AccountSnapshot],
    events: Sequence[AuditItem],
    now: int,
    erased_at: int,
) -> None:
    """Close a firm with its logins, end their codes and recoveries, and write the events.

    One transaction; `logins` are all that the firm has. Raises ConditionFailed where the firm does not
    exist or is closed, or a phone or a binding has changed since it was read; Unavailable.
    """

    def build(transaction: TransactWrite) -> None:
        for event in events:
            transaction.save(event)
        transaction.update(
            FirmItem(firm_no),
            [FirmItem.closed_at.set(now), FirmItem.expires_at.set(erased_at)],
            FirmItem.firm_no.exists() & FirmItem.closed_at.does_not_exist(),
        )
        for was in logins:
            transaction.update(
                LoginItem(was.login),
                [
                    LoginItem.closed_at.set(now),
                    LoginItem.expires_at.set(erased_at),
                    LoginItem.recovery_epoch.add(1),
                ],
                LoginItem.login.exists() & same_destinations(was),
            )
            transaction.update(CodeItem(f"code#{was.login}"), without_code(now))

    transact(build, LoginItem)


def reopen(
    firm_no: str, logins: Sequence[AccountSnapshot], events: Sequence[AuditItem], now: int
) -> None:
    """Open a closed firm again, with its logins as they were, and write the events.

    One transaction. Raises ConditionFailed where the firm is not closed or counts as erased,
    Unavailable.
    """

    def build(transaction: TransactWrite) -> None:
        for event in events:
            transaction.save(event)
        transaction.update(
            FirmItem(firm_no),
            [FirmItem.closed_at.remove(), FirmItem.expires_at.remove()],
            FirmItem.expires_at > now,
        )
        for was in logins:
            transaction.update(
                LoginItem(was.login),
                [LoginItem.closed_at.remove(), LoginItem.expires_at.remove()],
                LoginItem.expires_at > now,
            )

    transact(build, LoginItem)
