"""Codes that wait to be fetched, and the sends that receipts belong to, found by a destination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..domain.limits import Limits
from .dynamo import read, read_together
from .models import CodeItem, DestinationItem, LoginItem


@dataclass(frozen=True)
class SendsTo:
    """The last send to a destination, and all logins that sent there of late."""

    login: str
    at: str
    """The key of the send's audit item."""
    logins: frozenset[str]


@dataclass(frozen=True)
class PendingCode:
    """A live code that waits for its person; `sealed` is the code, encrypted."""

    login: str
    sealed: str
    expires_at: int


class PendingCodes:
    """What stands under a destination."""

    def __init__(self, limits: Limits, destination_id: Callable[[str, str], str]) -> None:
        """`destination_id` gives the key of a method and a destination, as `Codes` does."""
        self._limits = limits
        self._destination_id = destination_id

    def sends_to(self, method: str, destination: str) -> SendsTo | None:
        """Who sent codes to a phone or an openid of late."""
        item = read(DestinationItem, self._destination_id(method, destination))
        if item is None or item.login is None or item.send is None:
            return None
        return SendsTo(item.login, item.send, frozenset(item.logins or ()))

    def pending_for(self, openid: str, now: int) -> list[PendingCode]:
        """The live codes that wait for an openid, newest first: two reads.

        The binding is read together with the code: it may have been undone since the code was made.
        """
        sends = self.sends_to("wechat", openid)
        if sends is None or not sends.logins:
            return []
        keys = [
            (model, key)
            for login in sends.logins
            for model, key in ((CodeItem, f"code#{login}"), (LoginItem, login))
        ]
        found = read_together(keys)
        held = []
        for login in sends.logins:
            code, account = found.get((CodeItem, f"code#{login}")), found.get((LoginItem, login))
            bound = isinstance(account, LoginItem) and account.openid == openid
            if bound and isinstance(code, CodeItem) and self._may_be_fetched(code, now):
                held.append(PendingCode(login, code.sealed, int(code.code_expires_at)))
        return sorted(held, key=lambda code: (-code.expires_at, code.login))

    def _may_be_fetched(self, code: CodeItem, now: int) -> bool:
        return (
            code.sealed is not None
            and code.digest is not None
            and code.code_expires_at > now
            and code.attempts < self._limits.tries_per_code
        )
