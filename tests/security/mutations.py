"""Defences against several attacks."""

from __future__ import annotations

from chalicelib.store import code_updates, send_updates
from chalicelib.store.codes import Codes
from chalicelib.store.send_updates import CodePlan
from chalicelib.store.sends import Sends
from tests.security.mutation import SourceMutation, Together

_KEY = 'f"code#{login}"'
_SHARED_KEY = "\"code#\" + login.removesuffix('_cw')"

TRIES_OF_A_CODE = SourceMutation(
    code_updates.count_attempt, "condition &= _tries.does_not_exist() | (_tries < tries)", "pass"
)
"""A requester has five attempts on a code, checked by the write that counts them."""

NO_NEW_CODE = Together(
    SourceMutation(
        send_updates.new_code,
        "may_try(limits, is_address=by.requester.is_address, is_owner=by.is_owner)",
        "CodeItem.id.exists() | CodeItem.id.does_not_exist()",
    ),
    SourceMutation(
        CodePlan.update,
        "may_try(limits, is_address=by.requester.is_address, is_owner=by.is_owner)",
        "CodeItem.id.exists() | CodeItem.id.does_not_exist()",
    ),
    SourceMutation(
        send_updates.plan_code,
        'if wait:\n        raise TooManyAttempts(wait, "wrong-codes")',
    ),
)
"""No code is sent to a requester that could not enter it."""

A_CODE_FOR_EACH_LOGIN = tuple(
    SourceMutation(step, _KEY, _SHARED_KEY)
    for step in (Codes.consume_attempt, Sends._build, Codes.complete)
)
"""Each login has its own code; without these a firm's two logins share one."""

SAME_LOGIN = SourceMutation(code_updates.change_login, "login_unchanged(method)", "None")
"""A password is set only where phone, binding and password are unchanged since the start."""

ONE_BUCKET = SourceMutation(
    Sends._build,
    "self._codes.destination_id(destination.method, destination.address)",
    "self._codes.destination_id(destination.method, destination.address + login)",
)
"""Sends are counted by destination, not by login."""
