"""The logins that a visitor's WeChat is bound to, to choose from instead of typing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..store.wechat_logins import WechatLogins

_MOST = 20
"""Bound logins that are listed at most; a WeChat is seldom bound to more than two."""


class BoundLogin(NamedTuple):
    """A login to choose."""

    login: str
    name: str | None
    """The firm's name; None for a login that is not bound to the visitor's WeChat."""


class BoundLogins:
    """Lists the logins of a WeChat."""

    def __init__(self, logins: WechatLogins, clock: Callable[[], int]) -> None:
        self._logins = logins
        self._clock = clock

    def of(self, openid: str | None) -> list[BoundLogin]:
        """Return the logins bound to this WeChat and the other login of each firm, sorted.

        Empty without an openid. One Query, and one BatchGetItem where a login is bound. Raises
        Unavailable.
        """
        if openid is None:
            return []
        now = self._clock()
        bound = {found.login: found for found in self._logins.bound_to(openid, _MOST, now)}
        return [
            BoundLogin(login, bound[login].firm_name if login in bound else None)
            for login in sorted({other for found in bound.values() for other in found.of_firm})
        ]
