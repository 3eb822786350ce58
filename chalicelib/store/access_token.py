"""WeChat's access token, shared by all instances and renewed by one of them at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from pynamodb.expressions.update import Action

from ..domain.errors import ServiceError, Unavailable
from .dynamo import ConditionFailed, read, update
from .models import AccessTokenItem

MARGIN = 240
"""Seconds before its end from which a token is renewed. WeChat gives out a new one in the last 300,
and lets the old one live to its end ("Stable access token", notes); asked earlier it would only
repeat the old one."""

LEASE = 8
"""Seconds that one instance has for renewing; then it is taken for dead. Longer than one call to
the platform may take."""

_KEPT = 86_400
_WAITS = 40
_PAUSE = 0.1


class _Token(NamedTuple):
    text: str
    renew_at: int
    ends_at: int

    def lives(self, now: int, stale: str | None) -> bool:
        return now < self.ends_at and self.text != stale

    def is_fresh(self, now: int, stale: str | None) -> bool:
        return now < self.renew_at and self.text != stale


_NONE = _Token("", 0, 0)


class AccessTokens:
    """The shared token, and a copy in this process."""

    def __init__(
        self,
        app_id: str,
        clock: Callable[[], int],
        *,
        seal: Callable[[str], str],
        unseal: Callable[[str], str | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`seal` and `unseal` keep the token unreadable in the table."""
        self._id = f"wechat-token#{app_id}"
        self._clock = clock
        self._seal = seal
        self._unseal = unseal
        self._sleep = sleep
        self._lock = threading.Lock()
        self._copy = _NONE

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """The token; `fetch`, which gives one and its lifetime in seconds, is called by one of all.

        `stale` is a token that the platform has refused: a newer one is wanted. While one renews,
        the others use the old token as long as it lives, or wait, four seconds at the most.
        Raises Unavailable where there is none to be had.
        """
        now, copy = self._clock(), self._copy
        if copy.is_fresh(now, stale):
            return copy.text
        lives = copy.lives(now, stale)
        if not self._lock.acquire(timeout=0 if lives else _WAITS * _PAUSE):
            if lives:
                return copy.text
            raise Unavailable("wechat")
        try:
            return self._settled(fetch, stale)
        finally:
            self._lock.release()

    def _settled(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        if self._copy.is_fresh(self._clock(), stale):
            # Another thread has renewed it while this one waited for the lock.
            return self._copy.text
        for _ in range(_WAITS):
            item = read(AccessTokenItem, self._id)
            now, shared = self._clock(), self._opened(item)
            if shared.is_fresh(now, stale):
                self._copy = shared
                return shared.text
            lives = shared.lives(now, stale)
            lease = self._lease(item, now)
            if lease is not None:
                try:
                    return self._renewed(fetch, lease)
                except ServiceError:
                    if not lives:
                        self._release(lease, [])
                        raise
                    # The lease runs on: nobody asks again before it ends.
            if lives:
                return shared.text
            self._sleep(_PAUSE)
        raise Unavailable("wechat")

    def _opened(self, item: AccessTokenItem | None) -> _Token:
        if item is None or item.sealed is None or item.renew_at is None or item.ends_at is None:
            return _NONE
        text = self._unseal(item.sealed)
        return _NONE if text is None else _Token(text, int(item.renew_at), int(item.ends_at))

    def _lease(self, seen: AccessTokenItem | None, now: int) -> int | None:
        """The end of the lease, which is also its name; None where another instance has it."""
        sealed, leased_until = AccessTokenItem.sealed, AccessTokenItem.leased_until
        known = None if seen is None else seen.sealed
        # Since it was read, another instance may have put a new token there and gone.
        unchanged = sealed.does_not_exist() if known is None else sealed == known
        try:
            update(
                AccessTokenItem(self._id),
                [
                    leased_until.set(now + LEASE),
                    AccessTokenItem.expires_at.set(now + _KEPT),
                ],
                (leased_until.does_not_exist() | (leased_until <= now)) & unchanged,
                lambda seen: seen.leased_until == now + LEASE and seen.sealed == known,
            )
        except ConditionFailed:
            return None
        return now + LEASE

    def _renewed(self, fetch: Callable[[], tuple[str, int]], lease: int) -> str:
        # Its life is counted from before the question, so that it never seems longer than it is.
        now = self._clock()
        text, lifetime = fetch()
        renew_at = now + max(lifetime - MARGIN, lifetime // 2)
        self._copy = _Token(text, renew_at, now + lifetime)
        self._release(
            lease,
            [
                AccessTokenItem.sealed.set(self._seal(text)),
                AccessTokenItem.renew_at.set(renew_at),
                AccessTokenItem.ends_at.set(now + lifetime),
            ],
        )
        return text

    def _release(self, lease: int, actions: list[Action]) -> None:
        try:
            update(
                AccessTokenItem(self._id),
                [*actions, AccessTokenItem.leased_until.remove()],
                # Who was slow may find that another instance has taken over.
                AccessTokenItem.leased_until == lease,
            )
        except (ConditionFailed, Unavailable):
            # A lease ends by itself, and this process has its token.
            return
