"""Prepared updates of a login's code; each function returns one, for one variant."""

from __future__ import annotations

from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from ..domain.codes import LIFETIME
from ..domain.limits import DAY, Limits
from .dynamo import prepend, within_limits
from .models import CodeItem, DestinationItem, LoginItem
from .prepared import PreparedUpdate, now_param, number, text, texts

METHODS = ("sms", "wechat")

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


def login_unchanged(method: str) -> Condition:
    """Return the condition that a login has not changed since a recovery of it began.

    It has the same destination and password version, and no operator has changed its phone or
    binding. `method` is `sms` or `wechat`. The parameters of the condition are `destination` (the
    phone in E.164, or the openid), `version` and `epoch`.
    """
    destination = text("destination")
    if method == "sms":
        same_destination = (LoginItem.phone == destination) & LoginItem.openid.does_not_exist()
    else:
        same_destination = LoginItem.openid == destination
    unchanged: Condition = (LoginItem.password_version == number("version")) & same_destination
    unchanged &= same_epoch(number("epoch"))
    return unchanged


def same_epoch(epoch: Any) -> Condition:
    """Return the condition that no operator's change has ended the recoveries of this epoch."""
    # Epochs only grow, and a missing attribute is not greater than any.
    same: Condition = ~(LoginItem.recovery_epoch > epoch)
    return same


def check_login(method: str) -> PreparedUpdate[LoginItem]:
    """Check that the login is unchanged since the recovery began."""
    return PreparedUpdate(LoginItem, condition=login_unchanged(method))


def new_code(limits: Limits, *, sealing: bool) -> PreparedUpdate[CodeItem]:
    """Make a code the live one and count its send; `sealing` stores the code encrypted as well."""
    return PreparedUpdate(
        CodeItem,
        [
            CodeItem.digest.set(text("digest")),
            CodeItem.method.set(text("method")),
            CodeItem.code_expires_at.set(now_param + LIFETIME),
            CodeItem.attempts.set(0),
            CodeItem.send.set(text("send")),
            CodeItem.sealed.set(text("sealed")) if sealing else CodeItem.sealed.remove(),
            CodeItem.expires_at.set(now_param + DAY),
            prepend(CodeItem.sends, now_param),
        ],
        within_limits(CodeItem.sends, limits.sends_per_login, now_param)
        & within_limits(CodeItem.wrongs, limits.wrong_codes_per_login, now_param),
    )


def count_send(limits: Limits, *, sealing: bool) -> PreparedUpdate[DestinationItem]:
    """Count a send to its destination; `sealing` also adds the login to those of the destination.

    A fetched code is found by that set.
    """
    return PreparedUpdate(
        DestinationItem,
        [
            prepend(DestinationItem.sends, now_param),
            DestinationItem.login.set(text("login")),
            DestinationItem.send.set(text("send")),
            *([DestinationItem.logins.add(texts("logins"))] if sealing else []),
            DestinationItem.expires_at.set(now_param + DAY),
        ],
        within_limits(DestinationItem.sends, limits.sends_per_destination, now_param),
    )


def count_attempt(limits: Limits) -> PreparedUpdate[CodeItem]:
    """Count one attempt on the live code, as a wrong one until it turns out right."""
    return PreparedUpdate(
        CodeItem,
        [
            CodeItem.attempts.add(1),
            prepend(CodeItem.wrongs, now_param),
            CodeItem.expires_at.set(now_param + DAY),
        ],
        CodeItem.digest.exists()
        & (CodeItem.code_expires_at > now_param)
        & (CodeItem.attempts < limits.tries_per_code)
        & within_limits(CodeItem.wrongs, limits.wrong_codes_per_login, now_param),
    )


def refund_attempt() -> PreparedUpdate[CodeItem]:
    """Remove the count of an attempt whose code was right, and leave the code live."""
    return PreparedUpdate(
        CodeItem,
        [CodeItem.attempts.add(-1), CodeItem.wrongs[0].remove()],
        # Only for the code that was compared: the attempts of its successor are its own.
        CodeItem.digest == text("digest"),
    )


def use_code() -> PreparedUpdate[CodeItem]:
    """End the live code as used."""
    return PreparedUpdate(
        CodeItem,
        [
            *END_CODE,
            # The attempt was right, so its count is removed from the wrong ones.
            CodeItem.wrongs[0].remove(),
            CodeItem.used_digest.set(text("digest")),
            CodeItem.used_by.set(text("recovery")),
        ],
        CodeItem.digest == text("digest"),
    )


def change_login(method: str, *, binding: bool) -> PreparedUpdate[LoginItem]:
    """Set the login's new password; `binding` binds an openid as well."""
    return PreparedUpdate(
        LoginItem,
        [
            LoginItem.password_hash.set(text("hash")),
            LoginItem.password_version.set(LoginItem.password_version + 1),
            LoginItem.changed_at.set(now_param),
            LoginItem.recovered_at.set(now_param),
            LoginItem.must_change.set(False),
            LoginItem.failures.remove(),
            *(
                [LoginItem.openid.set(text("bind")), LoginItem.bound_at.set(now_param)]
                if binding
                else []
            ),
        ],
        login_unchanged(method),
    )
