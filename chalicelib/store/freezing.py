"""Freezing of logins: a frozen one starts no recovery and has no valid password."""

from __future__ import annotations

from dataclasses import dataclass, field

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from .accounts import without_code
from .dynamo import read, transact
from .ephemeral_models import CodeItem
from .models import AuditItem, LoginItem


@dataclass(frozen=True)
class FreezingState:
    """What decides whether the owner may freeze a login, and who is notified. Times in epoch seconds."""

    login: str
    phone: str | None = field(repr=False)
    """E.164."""
    openid: str | None = field(repr=False)
    frozen_at: int | None
    unfrozen_at: int | None
    erased_at: int | None
    """From when on the login of a closed firm counts as erased."""


def read_state(login: str) -> FreezingState | None:
    """Return a login's state by one consistent read, or None. Raises Unavailable."""
    item = read(LoginItem, login)
    if item is None:
        return None
    return FreezingState(
        login=item.login,
        phone=item.phone,
        openid=item.openid,
        frozen_at=None if item.frozen_at is None else int(item.frozen_at),
        unfrozen_at=None if item.unfrozen_at is None else int(item.unfrozen_at),
        erased_at=None if item.expires_at is None else int(item.expires_at),
    )


def freeze(login: str, event: AuditItem, now: int) -> None:
    """Freeze a login, end its code and its open recoveries, and write the event.

    One transaction. Raises ConditionFailed where the login does not exist or is frozen, Unavailable.
    """
    _freeze(login, event, now, LoginItem.login.exists())


def freeze_unchanged(was: FreezingState, event: AuditItem, now: int) -> None:
    """Freeze a login as `freeze` does, where it has the binding of `was` and was not unfrozen since.

    Raises ConditionFailed, Unavailable.
    """
    openid, unfrozen_at = LoginItem.openid, LoginItem.unfrozen_at
    same = LoginItem.login.exists()
    same &= openid.does_not_exist() if was.openid is None else openid == was.openid
    same &= (
        unfrozen_at.does_not_exist() if was.unfrozen_at is None else unfrozen_at == was.unfrozen_at
    )
    _freeze(was.login, event, now, same)


def _freeze(login: str, event: AuditItem, now: int, condition: Condition) -> None:
    def build(transaction: TransactWrite) -> None:
        transaction.save(event)
        transaction.update(
            LoginItem(login),
            [LoginItem.frozen_at.set(now), LoginItem.recovery_epoch.add(1)],
            condition & LoginItem.frozen_at.does_not_exist(),
        )
        transaction.update(CodeItem(f"code#{login}"), without_code(now))

    transact(build, LoginItem)


def unfreeze(login: str, event: AuditItem, now: int) -> None:
    """End the freezing of a login and write the event, in one transaction.

    Raises ConditionFailed where it is not frozen, or its firm is closed; Unavailable.
    """

    def build(transaction: TransactWrite) -> None:
        transaction.save(event)
        transaction.update(
            LoginItem(login),
            [LoginItem.frozen_at.remove(), LoginItem.unfrozen_at.set(now)],
            LoginItem.frozen_at.exists() & LoginItem.closed_at.does_not_exist(),
        )

    transact(build, LoginItem)
