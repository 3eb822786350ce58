"""Read and write firms with their two logins; a firm is written completely or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.firms import FirmFacts
from chalicelib.domain.logins import mask_phone
from chalicelib.store import audit
from chalicelib.store.dynamo import ConditionFailed, read_together, transact, translate_errors
from chalicelib.store.firms import facts_of, set_facts
from chalicelib.store.models import AuditItem, FirmItem, LoginItem

LOOKED_UP = 50
"""Firms in one lookup: BatchGetItem accepts at most 100 keys, and a firm has two logins."""


@dataclass(frozen=True)
class KnownLogin:
    """The parts of an existing login that enrolment needs."""

    province: str | None
    head_id_last4: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    has_password: bool


@dataclass(frozen=True)
class Known:
    """What the tables hold of a firm; a part is None where it does not exist."""

    facts: FirmFacts | None = field(repr=False)
    main: KnownLogin | None
    finance: KnownLogin | None
    closed: tuple[int, int] | None = None
    """When the firm was closed, and from when on it counts as erased, in epoch seconds."""


@dataclass(frozen=True)
class LoginChange:
    """Changes of one login beside the firm's facts; None where a value stays."""

    login: str
    created: bool
    phone: str | None = field(repr=False)
    """E.164, to bind where no phone is bound."""
    password_hash: str | None = field(repr=False)
    """To store where the login has no password."""
    must_change: bool
    """Whether the owner must change that password."""


class Directory:
    """Firms with their two logins, in three tables."""

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        """Return what the tables hold of at most LOOKED_UP firms: two BatchGetItem.

        Every given firm has an entry. Raises Unavailable.
        """
        logins = [login for firm_no in firm_nos for login in (firm_no, f"{firm_no}_cw")]
        firms, known_logins = {}, {}
        closed: dict[str, tuple[int, int]] = {}
        for item in read_together([(FirmItem, firm_no) for firm_no in firm_nos]).values():
            if isinstance(item, FirmItem):
                firms[item.firm_no] = facts_of(item)
                closed |= _closed(item)
        for item in read_together([(LoginItem, login) for login in logins]).values():
            if isinstance(item, LoginItem):
                known_logins[item.login] = KnownLogin(
                    item.province, item.head_id_last4, item.phone, item.password_hash is not None
                )
                # DynamoDB may have deleted the firm's item and not yet the login's.
                closed |= _closed(item)
        return {
            firm_no: Known(
                firms.get(firm_no),
                known_logins.get(firm_no),
                known_logins.get(f"{firm_no}_cw"),
                closed.get(firm_no),
            )
            for firm_no in firm_nos
        }

    def lacking(self, firm_nos: AbstractSet[str]) -> list[str]:
        """Return the numbers of the stored firms that are not closed and not in the set, in order.

        Reads the table of firms. Raises Unavailable.
        """
        with translate_errors():
            firms = FirmItem.scan(
                FirmItem.closed_at.does_not_exist(), attributes_to_get=["firm_no"]
            )
            return sorted({firm.firm_no for firm in firms} - firm_nos)

    def write(
        self, facts: FirmFacts, changes: Sequence[LoginChange], *, actor: str, reason: str, now: int
    ) -> None:
        """Write the firm's facts, its logins and one audit event for each login in a transaction.

        The write is conditional: a created login does not exist, a phone is bound only where there
        is none, a password is set only where there is none, and the firm is not closed. Raises
        ConditionFailed where another writer came first, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            for change in changes:
                transaction.save(_event(change, actor, reason, now))
            transaction.update(
                FirmItem(facts.firm_no), set_facts(facts), FirmItem.closed_at.does_not_exist()
            )
            for change in changes:
                transaction.update(
                    LoginItem(change.login), _actions(facts, change, now), _condition(change)
                )

        transact(build, LoginItem)


def _closed(item: FirmItem | LoginItem) -> dict[str, tuple[int, int]]:
    """Return the times of a closed firm, by its number; empty for any other firm."""
    if item.closed_at is None or item.expires_at is None:
        return {}
    return {item.firm_no: (int(item.closed_at), int(item.expires_at))}


def _actions(facts: FirmFacts, change: LoginChange, now: int) -> list[Action]:
    actions: list[Action] = [
        LoginItem.firm_no.set(facts.firm_no),
        LoginItem.province.set(facts.province),
        LoginItem.head_id_last4.set(facts.head_id_last4),
    ]
    if change.created:
        # The first start would otherwise have to create the map.
        actions.append(LoginItem.starts_by.set({}))
    if change.phone is not None:
        # As every operator's change of a phone, a first one ends open recoveries.
        actions += [LoginItem.phone.set(change.phone), LoginItem.recovery_epoch.add(1)]
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
    condition: Condition = LoginItem.login.exists() & LoginItem.closed_at.does_not_exist()
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
    "ConditionFailed",
    "Directory",
    "Known",
    "KnownLogin",
    "LoginChange",
]
