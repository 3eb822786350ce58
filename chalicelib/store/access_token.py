"""WeChat's access token, shared by all instances and renewed by one instance at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from pynamodb.expressions.update import Action

from ..domain.errors import ServiceError, Unavailable
from .dynamo import ConditionFailed, read, update
from .ephemeral_models import AccessTokenItem

MARGIN = 240
"""Seconds before a token's end from which it is renewed.

WeChat issues a new token in the last 300 seconds only, and the old one stays valid to its end
("Stable access token", notes). An earlier request would return the old token again.
"""

LEASE = 8
"""Seconds that one instance has for a renewal; afterwards another instance may renew.

Longer than the longest call to WeChat, so that only a crashed instance loses its lease.
"""

# Seconds until DynamoDB may delete the item; longer than any token's lifetime.
_RETENTION = 86_400
_WAITS = 40
# Seconds between two reads of the table while another instance renews.
_PAUSE = 0.1


class _Token(NamedTuple):
    text: str
    renew_at: int
    ends_at: int

    def is_usable(self, now: int, stale: str | None) -> bool:
        return now < self.ends_at and self.text != stale

    def is_fresh(self, now: int, stale: str | None) -> bool:
        return now < self.renew_at and self.text != stale


_NO_TOKEN = _Token("", 0, 0)


class AccessTokens:
    """The token in the table, with a copy in this process."""

    def __init__(
        self,
        app_id: str,
        clock: Callable[[], int],
        *,
        seal: Callable[[str], str],
        unseal: Callable[[str], str | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Store the token encrypted by `seal`; `clock` returns epoch seconds.

        `unseal` returns None for a text that it cannot decrypt.
        """
        self._id = f"wechat-token#{app_id}"
        self._clock = clock
        self._seal = seal
        self._unseal = unseal
        self._sleep = sleep
        self._lock = threading.Lock()
        self._copy = _NO_TOKEN

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """Return a valid token, renewed by `fetch` if necessary.

        `fetch` returns a token and its lifetime in seconds; one instance calls it at a time. While
        it does, the others use the old token until its end, or wait for at most four seconds.
        `stale` is a token that WeChat has refused; it is never returned.
        Raises Unavailable if no token is available in time.
        """
        now, copy = self._clock(), self._copy
        if copy.is_fresh(now, stale):
            return copy.text
        usable = copy.is_usable(now, stale)
        if not self._lock.acquire(timeout=0 if usable else _WAITS * _PAUSE):
            if usable:
                return copy.text
            raise Unavailable("wechat")
        try:
            return self._get_shared(fetch, stale)
        finally:
            self._lock.release()

    def _get_shared(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        if self._copy.is_fresh(self._clock(), stale):
            # Another thread renewed it while this one waited for the lock.
            return self._copy.text
        for _ in range(_WAITS):
            item = read(AccessTokenItem, self._id)
            now, shared = self._clock(), self._unsealed(item)
            if shared.is_fresh(now, stale):
                self._copy = shared
                return shared.text
            usable = shared.is_usable(now, stale)
            lease = self._acquire_lease(item, now)
            if lease is not None:
                try:
                    return self._renew(fetch, lease)
                except ServiceError:
                    if not usable:
                        self._release(lease, [])
                        raise
                    # The lease is left to expire, so that no instance retries before then.
            if usable:
                return shared.text
            self._sleep(_PAUSE)
        raise Unavailable("wechat")

    def _unsealed(self, item: AccessTokenItem | None) -> _Token:
        if item is None or item.sealed is None or item.renew_at is None or item.ends_at is None:
            return _NO_TOKEN
        text = self._unseal(item.sealed)
        return _NO_TOKEN if text is None else _Token(text, int(item.renew_at), int(item.ends_at))

    def _acquire_lease(self, seen: AccessTokenItem | None, now: int) -> int | None:
        """Acquire the lease for a renewal, or return None if another instance holds it.

        Returns the lease's end in epoch seconds, which also identifies the lease.
        """
        sealed, leased_until = AccessTokenItem.sealed, AccessTokenItem.leased_until
        sealed_before = None if seen is None else seen.sealed
        # After the read, another instance may have stored a new token and ended its lease.
        unchanged = sealed.does_not_exist() if sealed_before is None else sealed == sealed_before
        try:
            update(
                AccessTokenItem(self._id),
                [
                    leased_until.set(now + LEASE),
                    AccessTokenItem.expires_at.set(now + _RETENTION),
                ],
                (leased_until.does_not_exist() | (leased_until <= now)) & unchanged,
                lambda seen: seen.leased_until == now + LEASE and seen.sealed == sealed_before,
            )
        except ConditionFailed:
            return None
        return now + LEASE

    def _renew(self, fetch: Callable[[], tuple[str, int]], lease: int) -> str:
        # The lifetime is counted from before the request, so that it is never overestimated.
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
                # A slow holder may have lost the lease to another instance.
                AccessTokenItem.leased_until == lease,
            )
        except (ConditionFailed, Unavailable):
            # The lease ends by itself, and this process already has its token.
            return
