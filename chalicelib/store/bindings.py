"""The WeChat that is bound to a login, and how the binding is undone."""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.errors import RecoveryExpired, TooManyRequests
from ..domain.limits import DAY, Limits, retry_after
from .code_updates import END_CODE
from .dynamo import ConditionFailed, prepend, raw_list, transact, update, within_limits
from .models import AuditItem, CodeItem, LoginItem


class Bindings:
    """Undoing bindings, and the counts of tries at it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def count_details(self, login: str, now: int) -> None:
        """Count one try at the firm's details, before it is compared: one UpdateItem.

        Raises TooManyRequests with the seconds to wait.
        """
        windows = self._limits.wrong_details_per_login
        try:
            update(
                CodeItem(f"code#{login}"),
                [prepend(CodeItem.wrong_details, now), CodeItem.expires_at.set(now + DAY)],
                within_limits(CodeItem.wrong_details, windows, now),
            )
        except ConditionFailed as refused:
            tries = raw_list(refused.items[0], "wrong_details")
            wait = max(1, retry_after(tries, windows, now))
            raise TooManyRequests(wait, "wrong-details") from None

    def unbind(self, login: str, openid: str, event: AuditItem) -> None:
        """Take the binding and the live code away and write the event: one transaction.

        Raises RecoveryExpired where the binding is gone or another one, or no phone is left.
        """

        def build(transaction: TransactWrite) -> None:
            # The try was right, so it is taken out of the wrong ones again.
            code_actions = [*END_CODE, CodeItem.wrong_details[0].remove()]
            add_unbinding(transaction, login, openid, code_actions, event)

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
) -> None:
    """Add what undoes a binding: the event, the login's part, the code's.

    ConditionFailed where another openid is bound, or where no phone would be left to send codes to.
    """
    transaction.save(event)
    transaction.update(
        LoginItem(login),
        [LoginItem.openid.remove(), LoginItem.bound_at.remove()],
        (LoginItem.openid == openid) & LoginItem.phone.exists(),
    )
    transaction.update(CodeItem(f"code#{login}"), list(code_actions))
