"""Login accounts: starting a recovery, reading one."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..domain.errors import AccountNotFound, ProofInvalid, ServiceError, TooManyRequests
from ..domain.limits import Limits, retry_after
from .dynamo import Refused, noted, raw_list, read, room, update
from .models import LoginItem

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """A login as the stories see it."""

    login: str
    firm_no: str
    province: str | None
    head_id_last4: str | None
    phone: str | None
    openid: str | None
    password_version: int
    recovered_at: int | None


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

    def start(self, login: str, proof: str | None, now: int) -> Account:
        """Count the start of a recovery, use the proof up, and return the account: one UpdateItem.

        Raises AccountNotFound, TooManyRequests, or ProofInvalid where the proof was used before.
        """
        windows = self._limits.starts_per_login
        actions = [noted(LoginItem.starts, now)]
        condition = LoginItem.login.exists() & room(LoginItem.starts, windows, now)
        if proof is not None:
            actions.append(noted(LoginItem.proofs, proof))
            condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)
        try:
            item = update(LoginItem(login), actions, condition)
        except Refused as refused:
            raise self._refusal(refused, now) from None
        self._trim(item)
        return _account(item)

    def _refusal(self, refused: Refused, now: int) -> ServiceError:
        item = refused.items[0]
        if item is None:
            return AccountNotFound()
        wait = retry_after(raw_list(item, "starts"), self._limits.starts_per_login, now)
        return TooManyRequests(wait) if wait else ProofInvalid()

    def _trim(self, item: LoginItem) -> None:
        # The item lasts, so its lists are cut once in a while; losing the race does no harm.
        limit = self._limits.starts_per_login_hour
        actions = [
            attribute[index].remove()
            for attribute, entries in (
                (LoginItem.starts, item.starts or []),
                (LoginItem.proofs, item.proofs or []),
            )
            for index in range(limit, len(entries))
            if len(entries) > 2 * limit
        ]
        if not actions:
            return
        top = LoginItem.starts[0] == item.starts[0]
        try:
            update(LoginItem(item.login), actions, LoginItem.login.exists() & top)
        except (Refused, ServiceError):
            log.info("trimming was left to the next start")

    def get(self, login: str) -> Account | None:
        """The account by a consistent read, or None."""
        item = read(LoginItem, login)
        return None if item is None else _account(item)

    def password_hash(self, login: str) -> str | None:
        """The stored password hash by a consistent read, or None."""
        item = read(LoginItem, login)
        return None if item is None else item.password_hash
