"""Writing firms with their two logins, each firm whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.directory import Entry
from ..domain.logins import mask_phone
from . import audit
from .dynamo import Refused, guarded, transact
from .models import AuditItem, FirmItem, LoginItem

LOOKED_UP = 50
"""Firms looked up at once: their hundred logins are what one BatchGetItem may ask for."""


@dataclass(frozen=True)
class KnownLogin:
    """An existing login, as far as enrolment asks."""

    province: str | None
    head_id_last4: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    has_password: bool


@dataclass(frozen=True)
class Known:
    """What the tables have of a firm already; a part is None where it does not exist."""

    facts: tuple[str, str, str, str, str] | None = field(repr=False)
    """name, province, approval_no, head_name, head_id_last4"""
    main: KnownLogin | None
    finance: KnownLogin | None


@dataclass(frozen=True)
class LoginChange:
    """What is to be written of one login beside the firm's facts; None where it stays."""

    login: str
    created: bool
    phone: str | None = field(repr=False)
    """To bind where none is bound."""
    password_hash: str | None = field(repr=False)
    """To set where there is no password."""
    must_change: bool
    """Whether that password is to be changed by its owner."""


def facts_of(entry: Entry) -> tuple[str, str, str, str, str]:
    """The part of an entry that belongs to the firm."""
    return (
        entry.name,
        entry.province,
        entry.approval_no,
        entry.head_name,
        entry.head_id_last4,
    )


class Directory:
    """Firms with their two logins, in three tables."""

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        """What there is of at most LOOKED_UP firms: two BatchGetItem.

        Raises Unavailable.
        """
        logins = [login for firm_no in firm_nos for login in (firm_no, f"{firm_no}_cw")]
        firms = {
            item.firm_no: (
                item.name,
                item.province,
                item.approval_no,
                item.head_name,
                item.head_id_last4,
            )
            for item in guarded(lambda: list(FirmItem.batch_get(firm_nos, consistent_read=True)))
        }
        found = {
            item.login: KnownLogin(
                item.province, item.head_id_last4, item.phone, item.password_hash is not None
            )
            for item in guarded(lambda: list(LoginItem.batch_get(logins, consistent_read=True)))
        }
        return {
            firm_no: Known(firms.get(firm_no), found.get(firm_no), found.get(f"{firm_no}_cw"))
            for firm_no in firm_nos
        }

    def write(
        self, entry: Entry, changes: Sequence[LoginChange], *, actor: str, reason: str, now: int
    ) -> None:
        """Put the firm's facts, its logins and an event for each login in place: one transaction.

        That a login is new, has no phone, has no password is a condition of the write. Raises
        Refused where somebody was faster, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            for change in changes:
                transaction.save(_event(change, actor, reason, now))
            transaction.update(
                FirmItem(entry.firm_no),
                [
                    FirmItem.name.set(entry.name),
                    FirmItem.province.set(entry.province),
                    FirmItem.approval_no.set(entry.approval_no),
                    FirmItem.head_name.set(entry.head_name),
                    FirmItem.head_id_last4.set(entry.head_id_last4),
                ],
            )
            for change in changes:
                transaction.update(
                    LoginItem(change.login), _actions(entry, change, now), _condition(change)
                )

        transact(build, LoginItem)


def _actions(entry: Entry, change: LoginChange, now: int) -> list[Action]:
    actions: list[Action] = [
        LoginItem.firm_no.set(entry.firm_no),
        LoginItem.province.set(entry.province),
        LoginItem.head_id_last4.set(entry.head_id_last4),
    ]
    if change.phone is not None:
        actions.append(LoginItem.phone.set(change.phone))
    if change.password_hash is not None:
        actions += [
            LoginItem.password_hash.set(change.password_hash),
            LoginItem.password_version.set((LoginItem.password_version | 0) + 1),
            LoginItem.must_change.set(change.must_change),
            LoginItem.changed_at.set(now),
        ]
    elif change.created:
        actions += [
            LoginItem.password_version.set(0),
            LoginItem.must_change.set(False),
            LoginItem.changed_at.set(0),
        ]
    return actions


def _condition(change: LoginChange) -> Condition:
    if change.created:
        absent: Condition = LoginItem.login.does_not_exist()
        return absent
    condition: Condition = LoginItem.login.exists()
    if change.phone is not None:
        condition &= LoginItem.phone.does_not_exist()
    if change.password_hash is not None:
        condition &= LoginItem.password_hash.does_not_exist()
    return condition


def _event(change: LoginChange, actor: str, reason: str, now: int) -> AuditItem:
    return audit.entry(
        change.login,
        "enrolled" if change.created else "enrolment-updated",
        now,
        actor=actor,
        reason=reason,
        method="sms" if change.phone is not None else None,
        destination=mask_phone(change.phone) if change.phone is not None else None,
        outcome="password-set" if change.password_hash is not None else None,
    )


__all__ = [
    "LOOKED_UP",
    "Directory",
    "Known",
    "KnownLogin",
    "LoginChange",
    "Refused",
    "facts_of",
]
