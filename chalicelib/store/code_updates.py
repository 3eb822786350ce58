"""Prepared updates of a login's code and of the counts of its requester; one function for each."""

from __future__ import annotations

from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from ..domain.codes import LIFETIME
from ..domain.limits import DAY, Limits, Window
from .dynamo import prepend, within_limits
from .ephemeral_models import CodeItem, DestinationItem, RequesterItem
from .models import LoginItem
from .prepared import PreparedUpdate, name, now_param, number, text, texts

METHODS = ("sms", "wechat")

END_CODE: list[Action] = [
    attribute.remove()
    for attribute in (
        CodeItem.digest,
        CodeItem.method,
        CodeItem.code_expires_at,
        CodeItem.tries,
        CodeItem.sealed,
        CodeItem.sender,
        CodeItem.destination,
    )
]
"""The actions that end a live code and leave the counts as they are."""

# Each attribute of the live code, where the code before is stored, and what stands for its absence.
_KEPT: tuple[tuple[Any, Any, Any], ...] = (
    (CodeItem.digest, CodeItem.previous_digest, ""),
    (CodeItem.method, CodeItem.previous_method, ""),
    (CodeItem.code_expires_at, CodeItem.previous_code_expires_at, 0),
    (CodeItem.tries, CodeItem.previous_tries, {}),
    (CodeItem.send, CodeItem.previous_send, ""),
    (CodeItem.sealed, CodeItem.previous_sealed, ""),
    (CodeItem.sender, CodeItem.previous_sender, ""),
    (CodeItem.destination, CodeItem.previous_destination, ""),
)

RESTORE_CODE: list[Action] = [live.set(previous | absent) for live, previous, absent in _KEPT]
"""The actions that make the code before the live one again; without one, none is live."""

# The counts of the requester whose key is the value `requester`.
_tries = Path(["tries", name("requester")])
_wrong_by = Path(["wrong_by", name("requester")])


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


def keep_code() -> list[Action]:
    """Return the actions that store the live code as the previous one."""
    return [previous.set(live | absent) for live, previous, absent in _KEPT]


def make_code(*, sealing: bool) -> list[Action]:
    """Return the actions that make a new code the live one; `sealing` also stores it encrypted."""
    return [
        CodeItem.digest.set(text("digest")),
        CodeItem.method.set(text("method")),
        CodeItem.code_expires_at.set(now_param + LIFETIME),
        CodeItem.tries.set({}),
        CodeItem.send.set(text("send")),
        CodeItem.sealed.set(text("sealed")) if sealing else CodeItem.sealed.remove(),
        CodeItem.sender.set(text("requester")),
        CodeItem.destination.set(text("to")),
        CodeItem.expires_at.set(now_param + DAY),
    ]


def may_try(limits: Limits, *, is_address: bool, is_owner: bool) -> Condition:
    """Return the condition that the requester may enter another wrong code on the login.

    `is_owner` is whether it is the WeChat that the login's codes go to: strangers cannot use up its
    tries.
    """
    mine = limits.wrong_codes_per_requester_login(is_address=is_address)
    may = within_limits(_wrong_by, mine, now_param)
    return may if is_owner else may & _within_the_login(limits)


def _within_the_login(limits: Limits) -> Condition:
    return within_limits(CodeItem.wrongs, limits.wrong_codes_per_login, now_param)


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


def count_attempt(limits: Limits, *, is_address: bool, is_owner: bool) -> PreparedUpdate[CodeItem]:
    """Count a requester's attempt on the live code, as a wrong one until it turns out right."""
    tries = limits.of_requester(limits.tries_per_code, is_address=is_address)
    condition = CodeItem.digest.exists() & (CodeItem.code_expires_at > now_param)
    # A code of an older release has no maps.
    condition &= CodeItem.tries.exists() & CodeItem.wrong_by.exists()
    condition &= _tries.does_not_exist() | (_tries < tries)
    condition &= may_try(limits, is_address=is_address, is_owner=is_owner)
    if is_owner:
        condition &= CodeItem.destination == text("to")
    return PreparedUpdate(
        CodeItem,
        [
            _tries.set((_tries | 0) + 1),
            prepend(_wrong_by, now_param),
            *([] if is_owner else [prepend(CodeItem.wrongs, now_param)]),
            CodeItem.expires_at.set(now_param + DAY),
        ],
        condition,
    )


def refund_attempt(*, is_owner: bool) -> PreparedUpdate[CodeItem]:
    """Remove the count of an attempt whose code was right, and leave the code live."""
    return PreparedUpdate(
        CodeItem,
        [_tries.set(_tries - 1), *_uncount_wrong(is_owner=is_owner)],
        # Only for the code that was compared: the attempts of its successor are its own.
        CodeItem.digest == text("digest"),
    )


def use_code(*, is_owner: bool) -> PreparedUpdate[CodeItem]:
    """End the live code as used."""
    return PreparedUpdate(
        CodeItem,
        [
            *END_CODE,
            # The attempt was right, so its count is removed from the wrong ones.
            *_uncount_wrong(is_owner=is_owner),
            CodeItem.used_digest.set(text("digest")),
            CodeItem.used_by.set(text("recovery")),
        ],
        CodeItem.digest == text("digest"),
    )


def _uncount_wrong(*, is_owner: bool) -> list[Action]:
    counts = [_wrong_by[0]] if is_owner else [_wrong_by[0], CodeItem.wrongs[0]]
    return [count.remove() for count in counts]


def count_wrong(windows: tuple[Window, ...] = ()) -> PreparedUpdate[RequesterItem]:
    """Count a wrong code of a requester, within the windows where there are any."""
    return PreparedUpdate(
        RequesterItem,
        [prepend(RequesterItem.wrongs, now_param), RequesterItem.expires_at.set(now_param + DAY)],
        within_limits(RequesterItem.wrongs, windows, now_param) if windows else None,
    )


def uncount_wrong() -> PreparedUpdate[RequesterItem]:
    """Remove the count of a code that turned out right."""
    return PreparedUpdate(RequesterItem, [RequesterItem.wrongs[0].remove()])


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
