"""Freeze a login by the link of a WeChat notice, for an owner who did not do what it reports.

The link permits this to whoever has it, and to nobody once the login is bound to another WeChat: the
former owner of a binding must not be able to freeze the login of the next. Where no WeChat is bound, as
after an unbinding, the link of the WeChat that was notified of it is valid. The support desk ends a
freezing after it has checked the person, and the links of earlier notices end with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from ..domain.errors import FreezeLinkInvalid, Unavailable
from ..domain.firms import counts_as_erased
from ..security.freeze_tokens import FreezeClaims, FreezeTokens
from ..store import audit, freezing
from ..store.dynamo import ConditionFailed
from ..store.freezing import FreezingState
from .notifications import Notifications

log = logging.getLogger(__name__)

# Another write may change the same login first; the check is then repeated on the new state.
_TRIES = 3


class FreezeResult(NamedTuple):
    """The login is frozen."""

    login: str
    changed: bool
    """Whether this call froze it; False where it was frozen before."""


class OwnerFreezing:
    """Freezes logins for their owners."""

    def __init__(
        self, *, clock: Callable[[], int], tokens: FreezeTokens, notifications: Notifications
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._notifications = notifications

    def read(self, token: str) -> FreezeClaims:
        """Return the claims of a link's token, without I/O. Raises FreezeLinkInvalid."""
        claims = self._tokens.read(token)
        if claims is None:
            raise FreezeLinkInvalid
        return claims

    def freeze(self, token: str) -> FreezeResult:
        """Freeze the login of a link's token, and notify phone and WeChat; a repeat changes nothing.

        Raises FreezeLinkInvalid, Unavailable.
        """
        claims, now = self.read(token), self._clock()
        for _ in range(_TRIES):
            state = freezing.read_state(claims.login)
            if state is None or not self._permits(claims, state, now):
                raise FreezeLinkInvalid
            if state.frozen_at is not None:
                return FreezeResult(state.login, False)
            event = audit.entry(state.login, "frozen-by-owner", now, method="wechat")
            try:
                freezing.freeze_unchanged(state, event, now)
            except ConditionFailed:
                continue
            log.info("login frozen by its owner")
            self._notifications.notify(
                "frozen", state.login, now, phone=state.phone, openid=state.openid
            )
            return FreezeResult(state.login, True)
        raise Unavailable("store")

    def _permits(self, claims: FreezeClaims, state: FreezingState, now: int) -> bool:
        if counts_as_erased(state.erased_at, now):
            return False
        if state.openid is not None and not self._tokens.is_recipient(claims, state.openid):
            return False
        return state.unfrozen_at is None or claims.issued_at >= state.unfrozen_at
