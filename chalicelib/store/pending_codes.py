"""Look-ups by a destination: codes to be fetched, and the sends that receipts belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..domain.limits import Limits
from ..domain.requester import Requester
from .attributes import plain_map
from .dynamo import read, read_together
from .ephemeral_models import CodeItem, DestinationItem
from .models import LoginItem


@dataclass(frozen=True)
class SendsTo:
    """The last send to a destination, and the logins with recent sends to it."""

    login: str
    at: str
    """Key of the send's audit item."""
    logins: frozenset[str]
    """Logins whose codes the openid may fetch; empty for a phone."""


@dataclass(frozen=True)
class PendingCode:
    """A live code that its person may fetch; `sealed` is the encrypted code."""

    login: str
    sealed: str
    expires_at: int
    """Epoch seconds."""


class PendingCodes:
    """Reads the items of destinations."""

    def __init__(
        self,
        limits: Limits,
        destination_id: Callable[[str, str], str],
        requester_of: Callable[[str], Requester],
    ) -> None:
        """`destination_id` is `Codes.destination_id`; `requester_of` identifies an openid."""
        self._limits = limits
        self._destination_id = destination_id
        self._requester_of = requester_of

    def sends_to(self, method: str, destination: str) -> SendsTo | None:
        """Return the recent sends to a phone or an openid, or None. Raises Unavailable."""
        item = read(DestinationItem, self._destination_id(method, destination))
        if item is None or item.login is None or item.send is None:
            return None
        return SendsTo(item.login, item.send, frozenset(item.logins or ()))

    def pending_for(self, openid: str, now: int) -> list[PendingCode]:
        """Return the live codes that an openid may fetch, newest first, by two reads.

        `now` in epoch seconds. Each binding is read together with its code, since it may have been
        removed after the code was made. Raises Unavailable.
        """
        sends = self.sends_to("wechat", openid)
        if sends is None or not sends.logins:
            return []
        keys = [
            (model, key)
            for login in sends.logins
            for model, key in ((CodeItem, f"code#{login}"), (LoginItem, login))
        ]
        items = read_together(keys)
        pending = []
        for login in sends.logins:
            code, account = items.get((CodeItem, f"code#{login}")), items.get((LoginItem, login))
            bound = isinstance(account, LoginItem) and account.openid == openid
            if bound and isinstance(code, CodeItem) and self._may_be_fetched(code, openid, now):
                pending.append(PendingCode(login, code.sealed, int(code.code_expires_at)))
        return sorted(pending, key=lambda code: (-code.expires_at, code.login))

    def _may_be_fetched(self, code: CodeItem, openid: str, now: int) -> bool:
        tries = plain_map(code.tries)
        return (
            bool(code.sealed)
            and bool(code.digest)
            and code.code_expires_at > now
            and tries.get(self._requester_of(openid).key, 0) < self._limits.tries_per_code
        )
