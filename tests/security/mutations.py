"""Lines of defence that hold off several attacks."""

from __future__ import annotations

from chalicelib.store import code_updates
from chalicelib.store.codes import Codes
from tests.security.mutation import SourceMutation

_KEY = 'f"code#{login}"'
_SHARED_KEY = "\"code#\" + login.removesuffix('_cw')"

TRIES_OF_A_CODE = SourceMutation(
    code_updates.count_attempt, "& (CodeItem.attempts < limits.tries_per_code)"
)
"""Five tries on one code, in the write that counts them."""

A_CODE_FOR_EACH_LOGIN = tuple(
    SourceMutation(step, _KEY, _SHARED_KEY)
    for step in (Codes.consume_attempt, Codes.reserve, Codes.complete)
)
"""Without these a firm's two logins have one code."""

SAME_LOGIN = SourceMutation(code_updates.change_login, "login_unchanged(method)", "None")
"""A password is set where phone, binding and password are still what they were at the start."""

ONE_BUCKET = SourceMutation(
    Codes.reserve,
    "self.destination_id(destination.method, destination.address)",
    "self.destination_id(destination.method, destination.address + login)",
)
"""Codes are counted by where they go, whichever login they are for."""
