"""The table of login accounts: starts of recoveries, attempts at passwords, reads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pynamodb.attributes import ListAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from ..domain.errors import (
    AccountNotFound,
    ProofInvalid,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.limits import Limits, retry_after
from .dynamo import ConditionFailed, prepend, raw_list, raw_text, read, run, update, within_limits
from .models import LoginItem
from .prepared import PreparedUpdate, now_param, text

log = logging.getLogger(__name__)

# An update that fails was overtaken by another one of the same login.
_REFUND_TRIES = 12


class Account(NamedTuple):
    """The attributes of a login that a recovery needs."""

    login: str
    firm_no: str
    province: str | None
    head_id_last4: str | None
    phone: str | None
    """E.164."""
    openid: str | None
    password_version: int
    recovery_epoch: int
    recovered_at: int | None
    """Epoch seconds of the last recovery."""


@dataclass(frozen=True)
class Credentials:
    """The stored password of a login, for one attempt already counted. Times in epoch seconds."""

    login: str
    password_hash: str | None = field(repr=False)
    password_version: int
    must_change: bool
    changed_at: int
    counted_at: int
    """The entry of `failures` that counts this attempt."""


def _account(item: LoginItem) -> Account:
    return Account(
        login=item.login,
        firm_no=item.firm_no,
        province=item.province,
        head_id_last4=item.head_id_last4,
        phone=item.phone,
        openid=item.openid,
        password_version=int(item.password_version),
        recovery_epoch=int(item.recovery_epoch or 0),
        recovered_at=None if item.recovered_at is None else int(item.recovered_at),
    )


class Logins:
    """Reads logins and counts what is done with them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count_start = {
            proven: _count_start(limits, proven=proven) for proven in (True, False)
        }
        self._count_password = _count_password(limits)

    def start(self, login: str, proof: str | None, now: int) -> Account:
        """Count the start of a recovery, mark the proof as used and return the account.

        One UpdateItem. `proof` is the id of a proof of work, or None without one; `now` in epoch
        seconds. Raises AccountNotFound, TooManyRequests, ProofInvalid if the proof has been used,
        Unavailable.
        """
        try:
            item = run(
                self._count_start[proof is not None],
                login,
                {"now": now, "proof": proof},
                lambda seen: bool(
                    proof and seen.proofs and (seen.proofs[0], seen.starts[0]) == (proof, now)
                ),
            )
        except ConditionFailed as refused:
            raise self._refusal(refused, now) from None
        needed = self._limits.starts_per_login_hour
        self._trim(
            item,
            LoginItem.starts,
            [
                *_trimming(LoginItem.starts, item.starts or (), needed),
                *_trimming(LoginItem.proofs, item.proofs or (), needed),
            ],
        )
        return _account(item)

    def _refusal(self, refused: ConditionFailed, now: int) -> ServiceError:
        item = refused.items[0]
        if item is None:
            return AccountNotFound()
        wait = retry_after(raw_list(item, "starts"), self._limits.starts_per_login, now)
        return TooManyRequests(wait, "starts") if wait else ProofInvalid()

    def count_password(self, login: str, now: int) -> Credentials | None:
        """Count an attempt as a wrong password, before the comparison, and return the stored hash.

        One UpdateItem; `now` in epoch seconds. `refund_attempt` removes the count if the password
        turns out right. Returns None if the login does not exist. Raises TooManyAttempts with the
        seconds to wait, Unavailable.
        """
        windows = self._limits.wrong_passwords_per_login
        try:
            item = run(self._count_password, login, {"now": now})
        except ConditionFailed as refused:
            raw = refused.items[0]
            if raw is None:
                return None
            wait = retry_after(raw_list(raw, "failures"), windows, now)
            raise TooManyAttempts(max(1, wait), "wrong-passwords") from None
        needed = self._limits.wrong_passwords_per_login_half_hour
        self._trim(item, LoginItem.failures, _trimming(LoginItem.failures, item.failures, needed))
        return Credentials(
            login=item.login,
            password_hash=item.password_hash,
            password_version=int(item.password_version),
            must_change=bool(item.must_change),
            changed_at=int(item.changed_at),
            counted_at=now,
        )

    def refund_attempt(self, right: Credentials, rehashed: str | None) -> None:
        """Remove the count of a right password and store its new hash, usually by one UpdateItem.

        The other counts stay, so that a login by its owner does not reset the limit for an
        attacker. `rehashed` is the new hash, or None; it is stored only if the password is still
        the one that was compared. Best effort: after a failure one count stays until it leaves its
        window, or the old hash stays.
        """
        index: int | None = 0
        for _ in range(_REFUND_TRIES):
            actions: list[Action] = []
            condition: Condition = LoginItem.login.exists()
            if index is not None:
                entry = LoginItem.failures[index]
                actions.append(entry.remove())
                condition &= entry == right.counted_at
            if rehashed is not None:
                actions.append(LoginItem.password_hash.set(rehashed))
                condition &= LoginItem.password_version == right.password_version
                condition &= LoginItem.password_hash == right.password_hash
            if not actions:
                return
            try:
                update(LoginItem(right.login), actions, condition)
                return
            except ConditionFailed as refused:
                # Other attempts changed the list meanwhile. Entries of one second are equal, so any
                # of them may be removed.
                raw = refused.items[0]
                counts = raw_list(raw, "failures")
                index = counts.index(right.counted_at) if right.counted_at in counts else None
                if raw_text(raw, "password_hash") != right.password_hash:
                    rehashed = None
            except ServiceError:
                break
        log.warning("the count of a right password was not removed")

    def _trim(self, item: LoginItem, events: ListAttribute[int], actions: Sequence[Action]) -> None:
        # The item does not expire, so its lists are cut from time to time. If another request
        # changed the list meanwhile, a later one cuts it.
        if not actions:
            return
        newest = getattr(item, events.attr_name)[0]
        try:
            update(LoginItem(item.login), actions, LoginItem.login.exists() & (events[0] == newest))
        except (ConditionFailed, ServiceError):
            log.info("a list was not trimmed")

    def get(self, login: str) -> Account | None:
        """Return the account by a consistent read, or None. Raises Unavailable."""
        item = read(LoginItem, login)
        return None if item is None else _account(item)

    def password_hash(self, login: str) -> str | None:
        """Return the stored password hash by a consistent read, or None. Raises Unavailable."""
        item = read(LoginItem, login)
        return None if item is None else item.password_hash


def _count_start(limits: Limits, *, proven: bool) -> PreparedUpdate[LoginItem]:
    """Count the start of a recovery; `proven` also marks a proof as used."""
    actions = [prepend(LoginItem.starts, now_param)]
    windows = limits.starts_per_login
    condition = LoginItem.login.exists() & within_limits(LoginItem.starts, windows, now_param)
    if proven:
        proof = text("proof")
        actions.append(prepend(LoginItem.proofs, proof))
        condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)
    return PreparedUpdate(LoginItem, actions, condition)


def _count_password(limits: Limits) -> PreparedUpdate[LoginItem]:
    """Count an attempt at the password, as a wrong one until the comparison."""
    windows = limits.wrong_passwords_per_login
    return PreparedUpdate(
        LoginItem,
        [prepend(LoginItem.failures, now_param)],
        LoginItem.login.exists() & within_limits(LoginItem.failures, windows, now_param),
    )


def _trimming(events: ListAttribute[Any], entries: Sequence[object], needed: int) -> list[Action]:
    """Return actions that cut a newest-first list to `needed` entries once it has twice as many."""
    if len(entries) <= 2 * needed:
        return []
    return [events[index].remove() for index in range(needed, len(entries))]
