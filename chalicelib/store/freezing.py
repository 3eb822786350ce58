"""Freezing of logins: a frozen one starts no recovery and has no valid password."""

from __future__ import annotations

from pynamodb.transactions import TransactWrite

from .accounts import without_code
from .dynamo import transact
from .ephemeral_models import CodeItem
from .models import AuditItem, LoginItem


def freeze(login: str, event: AuditItem, now: int) -> None:
    """Freeze a login, end its code and its open recoveries, and write the event.

    One transaction. Raises ConditionFailed where the login does not exist or is frozen, Unavailable.
    """

    def build(transaction: TransactWrite) -> None:
        transaction.save(event)
        transaction.update(
            LoginItem(login),
            [LoginItem.frozen_at.set(now), LoginItem.recovery_epoch.add(1)],
            LoginItem.login.exists() & LoginItem.frozen_at.does_not_exist(),
        )
        transaction.update(CodeItem(f"code#{login}"), without_code(now))

    transact(build, LoginItem)


def unfreeze(login: str, event: AuditItem) -> None:
    """End the freezing of a login and write the event, in one transaction.

    Raises ConditionFailed where it is not frozen, Unavailable.
    """

    def build(transaction: TransactWrite) -> None:
        transaction.save(event)
        transaction.update(
            LoginItem(login), [LoginItem.frozen_at.remove()], LoginItem.frozen_at.exists()
        )

    transact(build, LoginItem)
