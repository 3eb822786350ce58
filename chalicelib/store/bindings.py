"""Removal of the WeChat binding of a login."""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.errors import RecoveryExpired, TooManyRequests
from ..domain.limits import DAY, Limits, retry_after
from .code_updates import END_CODE, same_epoch
from .dynamo import ConditionFailed, prepend, raw_list, transact, update, within_limits
from .models import AuditItem, CodeItem, LoginItem


class Bindings:
    """Removes bindings and counts the attempts to do so."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def count_details(self, login: str, now: int) -> None:
        """Count one attempt at the firm's details, before the comparison, by one UpdateItem.

        `now` in epoch seconds. Raises TooManyRequests with the seconds to wait, Unavailable.
        """
        windows = self._limits.wrong_details_per_login
        try:
            update(
                CodeItem(f"code#{login}"),
                [prepend(CodeItem.wrong_details, now), CodeItem.expires_at.set(now + DAY)],
                within_limits(CodeItem.wrong_details, windows, now),
            )
        except ConditionFailed as refused:
            attempts = raw_list(refused.items[0], "wrong_details")
            wait = max(1, retry_after(attempts, windows, now))
            raise TooManyRequests(wait, "wrong-details") from None

    def unbind(self, login: str, openid: str, epoch: int, event: AuditItem) -> None:
        """Remove the binding, end the live code and write the event in one transaction.

        Raises RecoveryExpired if `openid` is no longer bound, the login has no phone, or an operator
        has changed the login since `epoch`, its recovery epoch; Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            # The attempt was right, so it is removed from the wrong ones.
            code_actions = [*END_CODE, CodeItem.wrong_details[0].remove()]
            add_unbinding(transaction, login, openid, code_actions, event, same_epoch(epoch))

        try:
            transact(build, CodeItem)
        except ConditionFailed:
            raise RecoveryExpired from None


def add_unbinding(
    transaction: TransactWrite,
    login: str,
    openid: str | None,
    code_actions: Sequence[Action],
    event: AuditItem,
    condition: Condition,
    login_actions: Sequence[Action] = (),
) -> None:
    """Add the writes that remove a binding: the event, the login's change, the code's.

    The transaction fails with ConditionFailed if another openid is bound, if the login has no phone
    that codes could be sent to, or if `condition` on the login fails. `login_actions` are further
    changes of the login.
    """
    transaction.save(event)
    transaction.update(
        LoginItem(login),
        [LoginItem.openid.remove(), LoginItem.bound_at.remove(), *login_actions],
        (LoginItem.openid == openid) & LoginItem.phone.exists() & condition,
    )
    transaction.update(CodeItem(f"code#{login}"), list(code_actions))
