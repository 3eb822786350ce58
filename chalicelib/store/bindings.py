"""Removal of the WeChat binding of a login."""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.errors import RecoveryExpired, ServiceError, TooManyRequests, Unavailable
from ..domain.limits import DAY, HOUR, Limits, Window, of_last_day, retry_after
from ..domain.requester import Requester
from .code_updates import END_CODE, same_epoch
from .dynamo import ConditionFailed, prepend, raw_list, transact, update, within_limits
from .ephemeral_models import CodeItem, UnbinderItem
from .models import AuditItem, LoginItem
from .requester_times import dropping, raw_times_by, times_by, times_of

_NONE_TODAY = [Window(1, DAY)]

# Another request may create the map of attempts between two writes of this one.
_TRIES = 3


class Bindings:
    """Removes bindings and counts the attempts to do so."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def count_details(self, login: str, requester: Requester, now: int) -> int:
        """Count one attempt at the firm's details, before the comparison; return those that remain.

        Right and wrong ones count, by requester and login. One UpdateItem; two where nobody has
        attempted the login's details for a day. `now` in epoch seconds. Raises TooManyRequests with
        the seconds to wait, Unavailable.
        """
        windows = self._limits.wrong_details(is_address=requester.is_address)
        own = times_of(CodeItem.details_by, requester.key)
        keep = CodeItem.expires_at.set(now + DAY)
        for _ in range(_TRIES):
            try:
                item = update(
                    CodeItem(f"code#{login}"),
                    [prepend(own, now), keep],
                    CodeItem.details_by.exists() & within_limits(own, windows, now),
                )
            except ConditionFailed as refused:
                attempts = raw_times_by(refused.items[0], "details_by", requester.key)
                if wait := retry_after(attempts, windows, now):
                    raise TooManyRequests(wait, "wrong-details") from None
            else:
                self._trim(login, item, now)
                counted = len(of_last_day(times_by(item.details_by)[requester.key], now))
                return max(0, windows[0].limit - counted)
            try:
                first = CodeItem.details_by.set({requester.key: [now]})
                missing = CodeItem.details_by.does_not_exist()
                update(CodeItem(f"code#{login}"), [first, keep], missing)
            except ConditionFailed:
                continue
            return windows[0].limit - 1
        raise Unavailable("store")

    @staticmethod
    def _trim(login: str, item: CodeItem, now: int) -> None:
        by = times_by(item.details_by)
        actions, same = dropping(CodeItem.details_by, by, now - DAY)
        if not actions:
            return
        try:
            update(CodeItem(f"code#{login}"), actions, same)
        except (ConditionFailed, ServiceError):
            # A later attempt drops them.
            return

    def record_wrong(self, requester: Requester, now: int) -> None:
        """Record that the requester entered wrong details at `now`, epoch seconds.

        Raises Unavailable.
        """
        item = UnbinderItem(f"unbinder#{requester.key}")
        update(item, [UnbinderItem.wrong_at.set(now), UnbinderItem.expires_at.set(now + DAY)])

    def unbind(
        self,
        login: str,
        openid: str,
        epoch: int,
        event: AuditItem,
        requester: Requester,
        now: int,
        *,
        is_strict: bool,
    ) -> None:
        """Remove the binding, end the live code, count and write the event in one transaction.

        `now` in epoch seconds. `is_strict` refuses requesters that entered wrong details or unbound
        another login in the last day. Raises RecoveryExpired if `openid` is no longer bound, the
        login has no phone, or an operator has changed the login since `epoch`, its recovery epoch;
        TooManyRequests for a limit of the login, of the requester or of the service; Unavailable.
        """
        limits = self._limits
        on_login = limits.unbindings_per_login
        by_requester = limits.unbindings_per_requester(is_address=requester.is_address)
        within = within_limits(UnbinderItem.unbindings, by_requester, now)
        if is_strict:
            within &= _is_fresh(login, now)
        code_actions = [
            *END_CODE,
            prepend(CodeItem.unbindings, now),
            CodeItem.expires_at.set(now + DAY),
        ]

        def build(transaction: TransactWrite) -> None:
            add_unbinding(
                transaction,
                login,
                openid,
                code_actions,
                event,
                same_epoch(epoch),
                code_condition=within_limits(CodeItem.unbindings, on_login, now),
            )
            transaction.update(
                UnbinderItem(f"unbinder#{requester.key}"),
                [
                    prepend(UnbinderItem.unbindings, now),
                    UnbinderItem.login.set(login),
                    UnbinderItem.expires_at.set(now + DAY),
                ],
                within,
                return_values="ALL_OLD",
            )

        try:
            transact(build, CodeItem)
        except ConditionFailed as refused:
            _, is_changed, _, _ = refused.failed
            _, _, code, unbinder = refused.items
            if is_changed:
                raise RecoveryExpired from None
            if wait := retry_after(raw_list(code, "unbindings"), on_login, now):
                raise TooManyRequests(wait, "unbindings") from None
            if wait := retry_after(raw_list(unbinder, "unbindings"), by_requester, now):
                raise TooManyRequests(wait, "requester-unbindings") from None
            raise TooManyRequests(HOUR - now % HOUR, "service-unbindings") from None


def _is_fresh(login: str, now: int) -> Condition:
    """Return the condition that a requester neither erred nor unbound another login for a day."""
    none_today = within_limits(UnbinderItem.unbindings, _NONE_TODAY, now)
    no_wrong = UnbinderItem.wrong_at.does_not_exist() | (UnbinderItem.wrong_at <= now - DAY)
    fresh: Condition = (none_today | (UnbinderItem.login == login)) & no_wrong
    return fresh


def add_unbinding(
    transaction: TransactWrite,
    login: str,
    openid: str | None,
    code_actions: Sequence[Action],
    event: AuditItem,
    condition: Condition,
    login_actions: Sequence[Action] = (),
    code_condition: Condition | None = None,
) -> None:
    """Add the writes that remove a binding: the event, the login's change, the code's.

    The transaction fails with ConditionFailed if another openid is bound, if the login has no phone
    that codes could be sent to, if `condition` on the login fails, or `code_condition` on the code's
    item. `login_actions` are further changes of the login.
    """
    transaction.save(event)
    transaction.update(
        LoginItem(login),
        [LoginItem.openid.remove(), LoginItem.bound_at.remove(), *login_actions],
        (LoginItem.openid == openid) & LoginItem.phone.exists() & condition,
    )
    transaction.update(
        CodeItem(f"code#{login}"), list(code_actions), code_condition, return_values="ALL_OLD"
    )
