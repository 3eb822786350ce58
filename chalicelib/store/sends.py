"""Sends of codes: reserved with all their counts before a code is sent, cancelled if it was not."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from ..domain.codes import DIGITS
from ..domain.errors import RecoveryExpired, ServiceError, TooManyRequests, Unavailable
from ..domain.limits import Limits, retry_after
from ..domain.requester import Requester
from . import audit
from .code_updates import RESTORE_CODE, count_send
from .codes import Codes, Destination
from .dynamo import ConditionFailed, raw_list, read, transact
from .ephemeral_models import CodeItem, DestinationItem, RequesterItem
from .models import AuditItem
from .prepared import PreparedUpdate, Variants
from .pynamodb_internals import Transaction
from .send_updates import (
    CodePlan,
    RequesterPlan,
    SentBy,
    count_by_requester,
    first_refusal,
    new_code,
    plan_code,
    plan_requester,
)

log = logging.getLogger(__name__)

# Forms of a transaction that are tried. Each further one follows from another write in between.
_FORMS = 4


class NewCode(Protocol):
    """A code that has been issued, as far as it is stored."""

    @property
    def digest(self) -> str:
        """Its digest, as `domain.codes.digest` returns it."""

    @property
    def sealed(self) -> str | None:
        """The encrypted code if the person fetches it, or None."""


class Send(NamedTuple):
    """A code to be sent."""

    login: str
    destination: Destination
    by: SentBy
    record: AuditItem
    """The item from `new_send`."""
    now: int
    """Epoch seconds."""


class _Plans(NamedTuple):
    """The second forms of a transaction's writes; None stands for the ordinary form."""

    code: CodePlan | None = None
    requester: RequesterPlan | None = None

    @property
    def digits(self) -> int:
        return self.code.digits if self.code else DIGITS


class Sends:
    """The codes sent to all logins and the counts that limit them."""

    def __init__(self, limits: Limits, codes: Codes) -> None:
        self._limits = limits
        self._codes = codes
        self._count_send = {
            sealing: count_send(limits, sealing=sealing) for sealing in (True, False)
        }
        self._new_code = Variants(self._render_code)
        self._count_by_requester = Variants(self._render_count)

    def _render_code(self, of: tuple[bool, bool, bool]) -> PreparedUpdate[CodeItem]:
        is_address, is_owner, sealing = of
        by = SentBy(Requester("", is_address), is_owner, is_strict=False)
        return new_code(self._limits, by, sealing=sealing)

    def _render_count(self, of: tuple[bool, bool]) -> PreparedUpdate[RequesterItem]:
        is_address, is_strict = of
        by = SentBy(Requester("", is_address), is_owner=False, is_strict=is_strict)
        return count_by_requester(self._limits, by)

    def reserve(self, send: Send, issue: Callable[[int], NewCode]) -> None:
        """Make a new code the live one and count its send, before it is sent.

        One transaction; a second one where the counts of the login or of the requester show that codes
        are being guessed or that many were sent. `issue` returns a code of the given number of digits;
        that of its last call is stored. The code before is kept for `cancel`. Raises TooManyRequests or
        TooManyAttempts with the seconds to wait, RecoveryExpired if the login has changed since the
        recovery began, Unavailable.
        """
        plans = _Plans()
        for _ in range(_FORMS):
            code = issue(plans.digits)
            try:
                transact(functools.partial(self._build, send, code, plans), CodeItem)
            except ConditionFailed as refused:
                plans = self._plans(send, plans, refused)
            else:
                if plans.requester and plans.requester.has_reached_half:
                    log.error(
                        "a requester sends codes for many logins",
                        extra={"alarm": "requester-logins", "logins": plans.requester.logins},
                    )
                return
        raise Unavailable("store")

    def _build(self, send: Send, code: NewCode, plans: _Plans, transaction: Transaction) -> None:
        sealing = code.sealed is not None
        login, destination, by, now = send.login, send.destination, send.by, send.now
        to = self._codes.destination_id(destination.method, destination.address)
        values: dict[str, Any] = {
            "now": now,
            "method": destination.method,
            "login": login,
            "logins": {login},
            "digest": code.digest,
            "send": send.record.at,
            "sealed": code.sealed,
            "requester": by.requester.key,
            "to": to,
        }
        check = self._codes.check_login[destination.method]
        transaction.add_check(check.request(login, destination.values))
        transaction.save(send.record)
        if plans.code:
            new = plans.code.update(self._limits, by, now, sealing=sealing)
        else:
            new = self._new_code[by.requester.is_address, by.is_owner, sealing]
        transaction.add_update(new.request(f"code#{login}", values))
        transaction.add_update(self._count_send[sealing].request(to, values))
        if plans.requester:
            count = plans.requester.update(self._limits, by, login, now)
        else:
            count = self._count_by_requester[by.requester.is_address, by.is_strict]
        transaction.add_update(count.request(f"requester#{by.requester.key}", values))

    def _plans(self, send: Send, plans: _Plans, refused: ConditionFailed) -> _Plans:
        """Return the forms for the counts that failed the conditions; raise if a limit is reached."""
        limits, by, now = self._limits, send.by, send.now
        login_changed, _, code_failed, destination_failed, requester_failed = refused.failed
        if login_changed:
            raise RecoveryExpired
        _, _, code, destination, requester = refused.items
        refusals: list[ServiceError] = []
        if destination_failed:
            wait = retry_after(raw_list(destination, "sends"), limits.sends_per_destination, now)
            refusals.append(TooManyRequests(max(1, wait), "destination-sends"))
        if code_failed:
            try:
                plans = plans._replace(code=plan_code(limits, by, code, now))
            except ServiceError as refusal:
                refusals.append(refusal)
        if requester_failed:
            try:
                plan = plan_requester(limits, by, send.login, requester, now)
                plans = plans._replace(requester=plan)
            except ServiceError as refusal:
                refusals.append(refusal)
        if refusals:
            raise first_refusal(refusals) from None
        return plans

    @staticmethod
    def last_login(requester: Requester, since: int) -> str | None:
        """Return the login of the requester's last send after `since`, epoch seconds, or None.

        One read. Raises Unavailable.
        """
        item = read(RequesterItem, f"requester#{requester.key}")
        if item is None or not item.sends or not item.sent_logins or item.sends[0] <= since:
            return None
        return str(item.sent_logins[0])

    def cancel(self, send: Send, digest: str, reason: str) -> None:
        """Remove a reserved send from the counts, so that the person may try again at once.

        The code before it is live again if its time is not over. `digest` is that of the reserved code;
        `reason` goes to the audit trail, by a write of its own. Best effort: after a failure the counts
        stay until they leave their windows.
        """
        try:
            self._uncount(send, digest)
            audit.settle_send(send.login, send.record.at, outcome="failed", reason=reason)
        except (ConditionFailed, ServiceError) as error:
            log.warning("a send could not be cancelled: %s", type(error).__name__)

    def _uncount(self, send: Send, digest: str) -> None:
        """Restore the code before and remove the send from the counts that still have it."""
        to = self._codes.destination_id(send.destination.method, send.destination.address)
        writes: Sequence[tuple[Model, list[Action], Condition]] = (
            (
                CodeItem(f"code#{send.login}"),
                [*RESTORE_CODE, CodeItem.sends[0].remove(), CodeItem.senders[0].remove()],
                # Not if an operator's change or an unbinding has ended it: its predecessor ended, too.
                (CodeItem.send == send.record.at) & (CodeItem.digest == digest),
            ),
            # A newer entry at the front of a list is another send.
            (
                DestinationItem(to),
                [DestinationItem.sends[0].remove()],
                DestinationItem.sends[0] == send.now,
            ),
            (
                RequesterItem(f"requester#{send.by.requester.key}"),
                [RequesterItem.sends[0].remove(), RequesterItem.sent_logins[0].remove()],
                (RequesterItem.sends[0] == send.now) & (RequesterItem.sent_logins[0] == send.login),
            ),
        )
        while writes:
            try:
                transact(functools.partial(_add_all, writes), CodeItem)
            except ConditionFailed as refused:
                # Those counts have been cleared by an operator or have a newer send.
                each = zip(writes, refused.failed, strict=True)
                writes = [write for write, failed in each if not failed]
            else:
                return


def _add_all(
    writes: Sequence[tuple[Model, list[Action], Condition]], transaction: Transaction
) -> None:
    for item, actions, condition in writes:
        transaction.update(item, actions, condition)


def new_send(
    login: str, destination: Destination, masked_destination: str, gateway: str, now: int
) -> AuditItem:
    """Return the audit item of a send, not yet written; `now` in epoch seconds.

    `gateway` is the first one that will be tried.
    """
    return audit.entry(
        login,
        "code-sent",
        now,
        method=destination.method,
        destination=masked_destination,
        gateway=gateway,
        outcome="handed-over",
    )
