"""Login accounts: starting a recovery, reading one."""

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

# Each try that fails means that another attempt on the same login got ahead.
_TAKE_BACK_TRIES = 12


class Account(NamedTuple):
    """A login as the stories see it."""

    login: str
    firm_no: str
    province: str | None
    head_id_last4: str | None
    phone: str | None
    openid: str | None
    password_version: int
    recovered_at: int | None


@dataclass(frozen=True)
class Credentials:
    """What a password is compared with, its attempt counted already. Times in epoch seconds."""

    login: str
    password_hash: str | None = field(repr=False)
    password_version: int
    must_change: bool
    changed_at: int
    counted_at: int
    """The time under which this attempt is counted."""


def _account(item: LoginItem) -> Account:
    return Account(
        login=item.login,
        firm_no=item.firm_no,
        province=item.province,
        head_id_last4=item.head_id_last4,
        phone=item.phone,
        openid=item.openid,
        password_version=int(item.password_version),
        recovered_at=None if item.recovered_at is None else int(item.recovered_at),
    )


class Logins:
    """The table of login accounts."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count_start = {
            proven: _count_start(limits, proven=proven) for proven in (True, False)
        }
        self._count_password = _count_password(limits)

    def start(self, login: str, proof: str | None, now: int) -> Account:
        """Count the start of a recovery, use the proof up, and return the account: one UpdateItem.

        Raises AccountNotFound, TooManyRequests, or ProofInvalid where the proof was used before.
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
        kept = self._limits.starts_per_login_hour
        self._trim(
            item,
            LoginItem.starts,
            [
                *_beyond(LoginItem.starts, item.starts or (), kept),
                *_beyond(LoginItem.proofs, item.proofs or (), kept),
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
        """Count a wrong password, before it is compared, and return what to compare: one UpdateItem.

        `refund_attempt` undoes the count of one that was right. None where there is no such login.
        Raises TooManyAttempts with the seconds to wait.
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
        kept = self._limits.wrong_passwords_per_login_half_hour
        self._trim(item, LoginItem.failures, _beyond(LoginItem.failures, item.failures, kept))
        return Credentials(
            login=item.login,
            password_hash=item.password_hash,
            password_version=int(item.password_version),
            must_change=bool(item.must_change),
            changed_at=int(item.changed_at),
            counted_at=now,
        )

    def refund_attempt(self, right: Credentials, rehashed: str | None) -> None:
        """Take the count of a right password back, and store its new hash: one UpdateItem as a rule.

        The other counts stay, so that a person who logs in does not hand a fresh budget to whoever
        guesses. `rehashed` is stored only where the password is still the one that was compared.
        Best effort: what fails leaves one count that ends by time, or the old hash.
        """
        place: int | None = 0
        for _ in range(_TAKE_BACK_TRIES):
            actions: list[Action] = []
            condition: Condition = LoginItem.login.exists()
            if place is not None:
                entry = LoginItem.failures[place]
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
                # Others counted or took back meanwhile. Entries of one second are all alike, so
                # that any of them will do.
                raw = refused.items[0]
                counts = raw_list(raw, "failures")
                place = counts.index(right.counted_at) if right.counted_at in counts else None
                if raw_text(raw, "password_hash") != right.password_hash:
                    rehashed = None
            except ServiceError:
                break
        log.warning("the count of a right password was not taken back")

    def _trim(self, item: LoginItem, events: ListAttribute[int], actions: Sequence[Action]) -> None:
        # The item lasts, so its lists are cut once in a while; losing the race does no harm.
        if not actions:
            return
        newest = getattr(item, events.attr_name)[0]
        try:
            update(LoginItem(item.login), actions, LoginItem.login.exists() & (events[0] == newest))
        except (ConditionFailed, ServiceError):
            log.info("trimming was left to the next time")

    def get(self, login: str) -> Account | None:
        """The account by a consistent read, or None."""
        item = read(LoginItem, login)
        return None if item is None else _account(item)

    def password_hash(self, login: str) -> str | None:
        """The stored password hash by a consistent read, or None."""
        item = read(LoginItem, login)
        return None if item is None else item.password_hash


def _count_start(limits: Limits, *, proven: bool) -> PreparedUpdate[LoginItem]:
    """Count the start of a recovery; `proven` uses a proof up as well."""
    actions = [prepend(LoginItem.starts, now_param)]
    windows = limits.starts_per_login
    condition = LoginItem.login.exists() & within_limits(LoginItem.starts, windows, now_param)
    if proven:
        proof = text("proof")
        actions.append(prepend(LoginItem.proofs, proof))
        condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)
    return PreparedUpdate(LoginItem, actions, condition)


def _count_password(limits: Limits) -> PreparedUpdate[LoginItem]:
    """Count an attempt at the password, as a wrong one until it turns out right."""
    windows = limits.wrong_passwords_per_login
    return PreparedUpdate(
        LoginItem,
        [prepend(LoginItem.failures, now_param)],
        LoginItem.login.exists() & within_limits(LoginItem.failures, windows, now_param),
    )


def _beyond(events: ListAttribute[Any], entries: Sequence[object], kept: int) -> list[Action]:
    """The actions that cut a newest-first list to its first entries, once it is twice as long."""
    if len(entries) <= 2 * kept:
        return []
    return [events[index].remove() for index in range(kept, len(entries))]
