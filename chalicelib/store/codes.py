"""The one live code of a login: reserved, released, spent, used up.

Each login has one vanishing item with its code, the code's attempts and the day's counts; each
destination has one with the times of its codes. Counting always comes before comparing or sending.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from ..domain.codes import LIFETIME
from ..domain.errors import (
    CodeExpired,
    RecoveryExpired,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.limits import DAY, Limits, retry_after
from . import audit
from .dynamo import (
    Refused,
    noted,
    raw_list,
    raw_number,
    raw_text,
    read,
    room,
    run,
    transact,
)
from .models import AuditItem, CodeItem, DestinationItem, LoginItem
from .statements import NOW, Statement, Statements, Transaction, number, text, texts

log = logging.getLogger(__name__)

END_CODE: list[Action] = [
    attribute.remove()
    for attribute in (
        CodeItem.digest,
        CodeItem.method,
        CodeItem.code_expires_at,
        CodeItem.attempts,
        CodeItem.sealed,
    )
]
"""The actions that end a live code and leave the counts as they are."""


class Road(NamedTuple):
    """Where a login's codes go: what must still be true of the login when a write takes effect."""

    method: str
    """`sms` or `wechat`."""
    destination: str
    """The phone in E.164, or the openid."""
    version: int
    """The login's password version."""

    def holds(self) -> Condition:
        """The condition on the login that it still has this road and this password version.

        It has places for `values`, and is another one for each method.
        """
        destination = text("destination")
        if self.method == "sms":
            road = (LoginItem.phone == destination) & LoginItem.openid.does_not_exist()
        else:
            road = LoginItem.openid == destination
        same: Condition = (LoginItem.password_version == number("version")) & road
        return same

    @property
    def values(self) -> dict[str, Any]:
        """What `holds` is filled with."""
        return {"destination": self.destination, "version": self.version}


class Spent(NamedTuple):
    """One attempt, already counted, and what it is to be compared with."""

    digest: str
    method: str
    attempts_left: int


class UsedCode(NamedTuple):
    """What is left of a code after its use."""

    digest: str
    recovery: str


class Codes:
    """Codes and their counts."""

    def __init__(self, limits: Limits, pepper: bytes) -> None:
        """`pepper` keeps phones and openids out of the destinations' keys."""
        self._limits = limits
        self._pepper = pepper
        self._statements = Statements()

    def destination_id(self, method: str, destination: str) -> str:
        """The key of the counts of a phone or an openid."""
        name = f"{method}\0{destination}".encode()
        return "to#" + hmac.new(self._pepper, name, hashlib.sha256).hexdigest()

    def reserve(
        self, login: str, road: Road, digest: str, sealed: str | None, send: AuditItem, now: int
    ) -> None:
        """Make a new code the live one and count its send, before anything is sent: one transaction.

        Raises TooManyRequests or TooManyAttempts with the seconds to wait, RecoveryExpired where
        the login has changed since the recovery began.
        """
        limits = self._limits
        code = self._statements(
            lambda sealing: Statement(
                CodeItem,
                [
                    CodeItem.digest.set(text("digest")),
                    CodeItem.method.set(text("method")),
                    CodeItem.code_expires_at.set(NOW + LIFETIME),
                    CodeItem.attempts.set(0),
                    CodeItem.send.set(text("send")),
                    CodeItem.sealed.set(text("sealed")) if sealing else CodeItem.sealed.remove(),
                    CodeItem.expires_at.set(NOW + DAY),
                    noted(CodeItem.sends, NOW),
                ],
                room(CodeItem.sends, limits.sends_per_login, NOW)
                & room(CodeItem.wrongs, limits.wrong_codes_per_login, NOW),
            ),
            sealed is not None,
        )
        destination = self._statements(
            lambda sealing: Statement(
                DestinationItem,
                [
                    noted(DestinationItem.sends, NOW),
                    DestinationItem.login.set(text("login")),
                    DestinationItem.send.set(text("send")),
                    *([DestinationItem.logins.add(texts("logins"))] if sealing else []),
                    DestinationItem.expires_at.set(NOW + DAY),
                ],
                room(DestinationItem.sends, limits.sends_per_destination, NOW),
            ),
            sealed is not None,
        )
        still_so = self._statements(
            lambda _: Statement(LoginItem, condition=road.holds()), road.method
        )
        values = {
            "now": now,
            "method": road.method,
            "login": login,
            "logins": {login},
            "digest": digest,
            "send": send.at,
            "sealed": sealed,
        }

        def build(transaction: Transaction) -> None:
            transaction.check(still_so, login, road.values)
            transaction.save(send)
            transaction.run(code, f"code#{login}", values)
            to = self.destination_id(road.method, road.destination)
            transaction.run(destination, to, values)

        try:
            transact(build, CodeItem)
        except Refused as refused:
            raise self._send_refusal(refused, now) from None

    def _send_refusal(self, refused: Refused, now: int) -> ServiceError:
        limits = self._limits
        if refused.failed[0]:
            return RecoveryExpired()
        _, _, code, destination = refused.items
        wrong = retry_after(raw_list(code, "wrongs"), limits.wrong_codes_per_login, now)
        if wrong:
            return TooManyAttempts(wrong, "wrong-codes")
        by_login = retry_after(raw_list(code, "sends"), limits.sends_per_login, now)
        by_destination = retry_after(
            raw_list(destination, "sends"), limits.sends_per_destination, now
        )
        return TooManyRequests(
            max(1, by_login, by_destination),
            "login-sends" if by_login > by_destination else "destination-sends",
        )

    def release(self, login: str, road: Road, send: AuditItem, now: int, reason: str) -> None:
        """Take a reserved send back, so that the person may try again at once.

        Best effort: where it fails, the counts stay and the person waits for them.
        """

        def build(transaction: Transaction) -> None:
            transaction.update(
                CodeItem(f"code#{login}"),
                [
                    *END_CODE,
                    CodeItem.sends[0].remove(),
                ],
                CodeItem.send == send.at,
            )
            # Where a newer entry came on top, that one is newer by at least the resend time.
            transaction.update(
                DestinationItem(self.destination_id(road.method, road.destination)),
                [DestinationItem.sends[0].remove()],
                DestinationItem.sends[0] == now,
            )
            transaction.update(
                AuditItem(login, send.at),
                [AuditItem.outcome.set("failed"), AuditItem.reason.set(reason)],
                AuditItem.login.exists(),
            )

        try:
            transact(build, CodeItem)
        except (Refused, ServiceError) as error:
            log.warning("a send could not be released: %s", type(error).__name__)

    def spend(self, login: str, now: int) -> Spent | UsedCode:
        """Count one attempt on the live code and return what to compare with: one UpdateItem.

        Returns UsedCode, without counting, where the last code was used up already.
        Raises CodeExpired where there is no live code, TooManyAttempts where no try is left.
        """
        limits = self._limits
        statement = self._statements(
            lambda: Statement(
                CodeItem,
                [
                    CodeItem.attempts.add(1),
                    noted(CodeItem.wrongs, NOW),
                    CodeItem.expires_at.set(NOW + DAY),
                ],
                CodeItem.digest.exists()
                & (CodeItem.code_expires_at > NOW)
                & (CodeItem.attempts < limits.tries_per_code)
                & room(CodeItem.wrongs, limits.wrong_codes_per_login, NOW),
            ),
        )
        try:
            item = run(statement, f"code#{login}", {"now": now})
        except Refused as refused:
            raw = refused.items[0]
            used, by = raw_text(raw, "used_digest"), raw_text(raw, "used_by")
            if raw_text(raw, "digest") is None and used and by:
                return UsedCode(used, by)
            raise self._attempt_refusal(refused, now) from None
        wrong_today = sum(at > now - DAY for at in item.wrongs)
        return Spent(
            digest=item.digest,
            method=item.method,
            attempts_left=max(
                0,
                min(
                    limits.tries_per_code - int(item.attempts),
                    limits.wrong_codes_per_login_day - wrong_today,
                ),
            ),
        )

    def _attempt_refusal(self, refused: Refused, now: int) -> ServiceError:
        item = refused.items[0]
        wait = retry_after(raw_list(item, "wrongs"), self._limits.wrong_codes_per_login, now)
        if wait:
            return TooManyAttempts(wait, "wrong-codes")
        live = (raw_number(item, "code_expires_at") or 0) > now
        if raw_text(item, "digest") is None or not live:
            return CodeExpired()
        return TooManyAttempts(None, "code-tries")

    def complete(
        self,
        login: str,
        road: Road,
        digest: str,
        recovery: str,
        password_hash: str,
        bind: str | None,
        event: AuditItem,
        now: int,
    ) -> None:
        """Use the code up, set the password, bind the WeChat, write the event: one transaction.

        Raises CodeExpired where the code was used or replaced meanwhile, RecoveryExpired where
        the login got another password, phone or binding since the recovery began.
        """
        use = self._statements(
            lambda: Statement(
                CodeItem,
                [
                    *END_CODE,
                    # The attempt was right, so it is taken out of the wrong ones again.
                    CodeItem.wrongs[0].remove(),
                    CodeItem.used_digest.set(text("digest")),
                    CodeItem.used_by.set(text("recovery")),
                ],
                CodeItem.digest == text("digest"),
            ),
        )
        change = self._statements(
            lambda _, binding: Statement(
                LoginItem,
                [
                    LoginItem.password_hash.set(text("hash")),
                    LoginItem.password_version.set(LoginItem.password_version + 1),
                    LoginItem.changed_at.set(NOW),
                    LoginItem.recovered_at.set(NOW),
                    LoginItem.must_change.set(False),
                    LoginItem.failures.remove(),
                    *(
                        [LoginItem.openid.set(text("bind")), LoginItem.bound_at.set(NOW)]
                        if binding
                        else []
                    ),
                ],
                road.holds(),
            ),
            road.method,
            bind is not None,
        )
        values = {
            **road.values,
            "now": now,
            "digest": digest,
            "recovery": recovery,
            "hash": password_hash,
            "bind": bind,
        }

        def build(transaction: Transaction) -> None:
            transaction.save(event)
            transaction.run(use, f"code#{login}", values)
            transaction.run(change, login, values)

        try:
            transact(build, CodeItem)
        except Refused as refused:
            raise (CodeExpired() if refused.failed[1] else RecoveryExpired()) from None

    def is_live(self, login: str, now: int) -> bool:
        """Whether the login has a code that could be used now."""
        item = self._read(login)
        return item is not None and item.digest is not None and item.code_expires_at > now

    @staticmethod
    def _read(login: str) -> CodeItem | None:
        return read(CodeItem, f"code#{login}")


def new_send(login: str, road: Road, shown: str, gateway: str, now: int) -> AuditItem:
    """The audit item of a send; `shown` is the masked destination, `gateway` the one asked first."""
    return audit.entry(
        login,
        "code-sent",
        now,
        method=road.method,
        destination=shown,
        gateway=gateway,
        outcome="handed-over",
    )
