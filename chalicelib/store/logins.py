"""The table of login accounts: starts of recoveries, attempts at passwords, reads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pynamodb.attributes import ListAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from ..domain.errors import (
    AccountNotFound,
    Frozen,
    ProofInvalid,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.limits import DOUBLINGS, HOUR, STARTS_PER_DOUBLING, Limits, Window, retry_after
from ..domain.requester import Requester
from .dynamo import (
    ConditionFailed,
    prepend,
    raw_list,
    raw_number,
    raw_text,
    read,
    run,
    update,
    within_limits,
)
from .models import LoginItem
from .prepared import PreparedUpdate, name, now_param, text
from .requester_times import dropping, raw_times_by, times_by, times_of

log = logging.getLogger(__name__)

_CUT_AT_ONCE = 60

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


class Start(NamedTuple):
    """A start of a recovery that has been counted."""

    account: Account
    previous_at: int | None
    """The requester's start of the same login before this one, epoch seconds; None for the first."""


class StartProof(NamedTuple):
    """A solved proof of work, not yet marked as used."""

    id: str
    growth: int
    """How many times the work that every start requires at the moment it stands for."""
    base: int = 1
    """That work, in ordinary proofs."""
    lifetime: int = 0
    """Seconds in which the proof could be used again if it were not marked."""


@dataclass(frozen=True)
class StoredPassword:
    """A login's password hash, and whether a WeChat is bound to the login."""

    password_hash: str = field(repr=False)
    wechat_bound: bool


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
    frozen: bool = False
    """Whether the login was frozen, or its firm closed."""


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
        # The variants of an attack's many starts are seldom needed, so each is made when it is.
        self._count_start: dict[tuple[bool, int | None], PreparedUpdate[LoginItem]] = {}
        self._count_password = _count_password(limits)

    def start(self, login: str, proof: StartProof | None, requester: Requester, now: int) -> Start:
        """Count the start of a recovery, mark the proof as used and return the account.

        One UpdateItem; two more for an item without the map `starts_by`, which enrolment creates.
        `proof` is None where the service requires none; `now` in epoch seconds. Raises
        AccountNotFound, Frozen, TooManyRequests for the requester's limit, ProofInvalid if the proof has
        been used or stands for less work than the login's starts require now, Unavailable. A refused
        start is not counted, and its proof is not marked.
        """
        try:
            item = self._counted(login, proof, requester, now)
        except ConditionFailed as refused:
            seen = refused.items[0]
            if seen is None or "starts_by" in seen:
                raise self._refusal(refused, proof, requester, now) from None
            _create_starts_by(login)
            try:
                item = self._counted(login, proof, requester, now)
            except ConditionFailed as again:
                raise self._refusal(again, proof, requester, now) from None
        self._trim_starts(item, proof, requester, now)
        own = times_by(item.starts_by).get(requester.key, [])
        return Start(_account(item), own[1] if len(own) > 1 else None)

    def _counted(
        self, login: str, proof: StartProof | None, requester: Requester, now: int
    ) -> LoginItem:
        doublings = None if proof is None else min(DOUBLINGS, proof.growth.bit_length() - 1)
        variant = requester.is_address, doublings
        if variant not in self._count_start:
            self._count_start[variant] = _count_start(self._limits, *variant)
        used = None if proof is None else proof.id
        return run(
            self._count_start[variant],
            login,
            {"now": now, "proof": used, "requester": requester.key},
            lambda seen: bool(
                used and seen.proofs and (seen.proofs[0], seen.starts[0]) == (used, now)
            ),
        )

    def _refusal(
        self, refused: ConditionFailed, proof: StartProof | None, requester: Requester, now: int
    ) -> ServiceError:
        item = refused.items[0]
        if item is None:
            return AccountNotFound()
        if any(raw_number(item, name) is not None for name in ("frozen_at", "closed_at")):
            # A firm that was closed by mistake must reach support: "no such login" would not say so.
            return Frozen()
        windows = self._limits.starts_per_requester(is_address=requester.is_address)
        wait = retry_after(raw_times_by(item, "starts_by", requester.key), windows, now)
        if wait:
            return TooManyRequests(wait, "starts")
        growth = _growth(self._limits, raw_list(item, "starts"), now)
        if proof is not None and proof.growth < growth:
            return ProofInvalid(growth * proof.base)
        return ProofInvalid()

    def _trim_starts(
        self, item: LoginItem, proof: StartProof | None, requester: Requester, now: int
    ) -> None:
        starts = [int(at) for at in item.starts]
        needed = _starts_limit(self._limits, DOUBLINGS - 1)
        # A proof stays marked for as long as it could be used again.
        valid = 0 if proof is None else sum(at > now - proof.lifetime for at in starts)
        actions = [
            *_trimming(LoginItem.starts, starts, needed),
            *_trimming(LoginItem.proofs, item.proofs or (), max(needed, valid)),
        ]
        by = times_by(item.starts_by)
        windows = self._limits.starts_per_requester(is_address=requester.is_address)
        own = times_of(LoginItem.starts_by, requester.key)
        actions += _trimming(own, by.pop(requester.key, ()), windows[0].limit)
        drops, same = dropping(LoginItem.starts_by, by, now - HOUR)
        self._trim(item, LoginItem.starts, [*actions, *drops], same)

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
            frozen=item.frozen_at is not None or item.closed_at is not None,
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

    def _trim(
        self,
        item: LoginItem,
        events: ListAttribute[int],
        actions: Sequence[Action],
        condition: Condition | None = None,
    ) -> None:
        # The item does not expire, so its lists are cut from time to time. If another request
        # changed the list meanwhile, a later one cuts it.
        if not actions:
            return
        same = LoginItem.login.exists() & (events[0] == getattr(item, events.attr_name)[0])
        try:
            update(LoginItem(item.login), actions, same if condition is None else same & condition)
        except (ConditionFailed, ServiceError):
            log.info("a list was not trimmed")

    def get(self, login: str) -> Account | None:
        """Return the account by a consistent read, or None. Raises Unavailable."""
        item = read(LoginItem, login)
        return None if item is None else _account(item)

    def stored_password(self, login: str) -> StoredPassword | None:
        """Return the login's password by a consistent read, or None. Raises Unavailable."""
        item = read(LoginItem, login)
        if item is None or item.password_hash is None:
            return None
        return StoredPassword(item.password_hash, item.openid is not None)


def _starts_limit(limits: Limits, doublings: int) -> int:
    """Return the starts of a login in an hour that a proof of 2 ** `doublings` allows."""
    return limits.starts_per_login_hour + STARTS_PER_DOUBLING * doublings


def _growth(limits: Limits, starts: Sequence[int], now: int) -> int:
    """Return how many times the usual work one more start of a login requires."""
    recent = sum(at > now - HOUR for at in starts)
    doublings = 0
    while doublings < DOUBLINGS and recent >= _starts_limit(limits, doublings):
        doublings += 1
    return 1 << doublings


def _count_start(
    limits: Limits, is_address: bool, doublings: int | None
) -> PreparedUpdate[LoginItem]:
    """Count the start of a recovery, and mark a proof of 2 ** `doublings` of the work as used.

    Without proofs, `doublings` is None, and the starts of other requesters are not compared.
    """
    own = times_of(LoginItem.starts_by, name("requester"))
    windows = limits.starts_per_requester(is_address=is_address)
    actions = [prepend(LoginItem.starts, now_param), prepend(own, now_param)]
    condition = LoginItem.login.exists() & LoginItem.starts_by.exists()
    condition &= within_limits(own, windows, now_param) & LoginItem.frozen_at.does_not_exist()
    condition &= LoginItem.closed_at.does_not_exist()
    if doublings is not None:
        proof = text("proof")
        actions.append(prepend(LoginItem.proofs, proof))
        condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)
        if doublings < DOUBLINGS:
            all_starts = [Window(_starts_limit(limits, doublings), HOUR)]
            condition &= within_limits(LoginItem.starts, all_starts, now_param)
    return PreparedUpdate(LoginItem, actions, condition)


def _create_starts_by(login: str) -> None:
    """Create the map of an item that was enrolled before there was one."""
    try:
        update(
            LoginItem(login),
            [LoginItem.starts_by.set({})],
            LoginItem.login.exists() & LoginItem.starts_by.does_not_exist(),
        )
    except ConditionFailed:
        # Another request created it meanwhile.
        log.info("the map of starts exists")


def _count_password(limits: Limits) -> PreparedUpdate[LoginItem]:
    """Count an attempt at the password, as a wrong one until the comparison."""
    windows = limits.wrong_passwords_per_login
    return PreparedUpdate(
        LoginItem,
        [prepend(LoginItem.failures, now_param)],
        LoginItem.login.exists() & within_limits(LoginItem.failures, windows, now_param),
    )


def _trimming(
    events: ListAttribute[Any] | Path, entries: Sequence[object], needed: int
) -> list[Action]:
    """Return actions that cut a newest-first list to `needed` entries once it has twice as many.

    By the oldest 60 at the most, since the length of an expression is limited.
    """
    if len(entries) <= 2 * needed:
        return []
    first = max(needed, len(entries) - _CUT_AT_ONCE)
    return [events[index].remove() for index in range(first, len(entries))]
