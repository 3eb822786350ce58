"""Close a firm: its logins are off at once, and its data is erased after a time of grace.

Nothing is deleted here. The firm's items get a time to live, by which DynamoDB deletes them; until then
the firm can be opened again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..domain.errors import AccountNotFound, Unavailable
from ..domain.limits import DAY
from ..domain.logins import parse_login
from ..domain.reasons import parse_reason
from ..store import audit, closing
from ..store.accounts import Accounts, AccountSnapshot
from ..store.closing import FirmState
from ..store.dynamo import ConditionFailed
from ..store.models import AuditItem
from ..store.search import SearchIndex
from .notifications import Notifications
from .support import NotificationResult, notify_by_sms

log = logging.getLogger(__name__)

# Another write may change a login first; the change is then repeated on the new state.
_TRIES = 3


@dataclass(frozen=True)
class ClosingResult:
    """The state of a firm afterwards. Times in epoch seconds."""

    firm_no: str
    changed: bool
    """Whether anything was written; nobody is notified otherwise."""
    closed_at: int | None
    erased_at: int | None
    """From when on the firm cannot be opened again."""
    logins: tuple[str, ...]
    notified: tuple[NotificationResult, ...] = ()
    indexed: bool = True
    """Whether the search entries were changed as well; a repeat of the command completes them."""


class Closing:
    """Closes firms and opens them again."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        accounts: Accounts,
        index: SearchIndex,
        notifications: Notifications,
        erasure_days: int,
    ) -> None:
        """`erasure_days` is the time of grace between closing and erasure."""
        self._clock = clock
        self._accounts = accounts
        self._index = index
        self._notifications = notifications
        self._erasure_days = erasure_days

    def close(self, firm_text: str, *, actor: str, reason: str) -> ClosingResult:
        """Close a firm: no recovery begins, no password is valid, and what is open ends.

        A firm that is closed stays so, with its first date. Raises InvalidInput, AccountNotFound,
        Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)
        erased_at = now + self._erasure_days * DAY

        def write(firm_no: str, logins: Sequence[AccountSnapshot]) -> None:
            events = _events("firm-closed", logins, now, actor, why)
            closing.close(firm_no, logins, events, now, erased_at)

        return self._change(firm_text, "firm-closed", write, now, (now, erased_at))

    def reopen(self, firm_text: str, *, actor: str, reason: str) -> ClosingResult:
        """Open a closed firm again, with phones, bindings and passwords as they were.

        Raises InvalidInput, AccountNotFound (also where the time of grace is over), Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)

        def write(firm_no: str, logins: Sequence[AccountSnapshot]) -> None:
            events = _events("firm-reopened", logins, now, actor, why)
            closing.reopen(firm_no, logins, events, now)

        return self._change(firm_text, "firm-reopened", write, now, (None, None))

    def _change(
        self,
        firm_text: str,
        notice: str,
        write: Callable[[str, Sequence[AccountSnapshot]], None],
        now: int,
        times: tuple[int | None, int | None],
    ) -> ClosingResult:
        """Write the change; `times` are those of closing and erasure afterwards."""
        firm_no = parse_login(firm_text).firm_no
        for _ in range(_TRIES):
            firm = self._state(firm_no, now)
            found = (self._accounts.read(name) for name in (firm_no, f"{firm_no}_cw"))
            logins = [account for account in found if account is not None]
            changed = (firm.closed_at is None) != (times[0] is None)
            if changed:
                try:
                    write(firm_no, logins)
                except ConditionFailed:
                    continue
                firm = FirmState(firm.facts, *times)
            # Also without a change: an earlier call may have ended before this.
            indexed = self._index_state(firm, logins)
            return ClosingResult(
                firm_no,
                changed,
                firm.closed_at,
                firm.erased_at,
                tuple(account.login for account in logins),
                self._notify(notice, firm_no, logins, now) if changed else (),
                indexed,
            )
        raise Unavailable("store")

    @staticmethod
    def _state(firm_no: str, now: int) -> FirmState:
        firm = closing.read_state(firm_no)
        if firm is None or firm.is_erased(now):
            raise AccountNotFound
        return firm

    def _index_state(self, firm: FirmState, logins: Sequence[AccountSnapshot]) -> bool:
        phones = [(account.login, account.phone) for account in logins if account.phone]
        try:
            if firm.erased_at is None:
                self._index.add(firm.facts, phones)
            else:
                self._index.expire(firm.facts, phones, firm.erased_at)
        except Unavailable:
            log.warning("search entries were not changed")
            return False
        return True

    def _notify(
        self, notice: str, firm_no: str, logins: Sequence[AccountSnapshot], now: int
    ) -> tuple[NotificationResult, ...]:
        """Notify each phone and each WeChat of the firm once."""
        phones = dict.fromkeys(account.phone for account in logins if account.phone)
        openids = dict.fromkeys(account.openid for account in logins if account.openid)
        for openid in openids:
            self._notifications.notify(notice, firm_no, now, phone=None, openid=openid)
        return tuple(
            notify_by_sms(self._notifications, notice, firm_no, phone, now) for phone in phones
        )


def _events(
    event: str, logins: Sequence[AccountSnapshot], now: int, actor: str, reason: str
) -> list[AuditItem]:
    return [audit.entry(was.login, event, now, actor=actor, reason=reason) for was in logins]
