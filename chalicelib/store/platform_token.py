"""WeChat's access token, shared by all instances and fetched by one of them at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pynamodb.expressions.update import Action

from ..domain.errors import ServiceError, Unavailable
from .dynamo import Refused, read, update
from .models import PlatformTokenItem

MARGIN = 300
"""Seconds before its end that a token is replaced; WeChat keeps the old one alive as long."""

LEASE = 10
"""Seconds that one instance has for fetching; then it is taken for dead."""

_WAITS = 40
_PAUSE = 0.1


class PlatformTokens:
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
        self._token = ""
        self._renew_at = 0

    def get(self, fetch: Callable[[], tuple[str, int]], stale: str | None) -> str:
        """The token; `fetch` is called by one instance of all, and `stale` never returned.

        Raises Unavailable where there is none to be had.
        """
        with self._lock:
            if self._token and self._token != stale and self._clock() < self._renew_at:
                return self._token
            for _ in range(_WAITS):
                token = self._shared(stale) or self._fetched(fetch)
                if token is not None:
                    return token
                # Another instance is fetching.
                self._sleep(_PAUSE)
            raise Unavailable("wechat")

    def _keep(self, token: str, renew_at: int) -> str:
        self._token, self._renew_at = token, renew_at
        return token

    def _shared(self, stale: str | None) -> str | None:
        item = read(PlatformTokenItem, self._id)
        now = self._clock()
        if item is None or item.sealed is None or item.renew_at is None:
            return None
        token = self._unseal(item.sealed)
        if token is None or token == stale:
            return None
        # While another instance renews it, the old one serves until its very end.
        being_renewed = (item.leased_until or 0) > now and now < item.renew_at + MARGIN
        if now < item.renew_at or being_renewed:
            return self._keep(token, int(item.renew_at) if now < item.renew_at else now)
        return None

    def _fetched(self, fetch: Callable[[], tuple[str, int]]) -> str | None:
        now = self._clock()
        item = PlatformTokenItem(self._id)
        free = PlatformTokenItem.leased_until.does_not_exist() | (
            PlatformTokenItem.leased_until <= now
        )
        try:
            update(
                item,
                [
                    PlatformTokenItem.leased_until.set(now + LEASE),
                    PlatformTokenItem.expires_at.set(now + 86_400),
                ],
                free,
            )
        except Refused:
            return None
        try:
            token, lifetime = fetch()
        except ServiceError:
            self._release(item, [])
            raise
        renew_at = self._clock() + max(0, lifetime - MARGIN)
        self._release(
            item,
            [
                PlatformTokenItem.sealed.set(self._seal(token)),
                PlatformTokenItem.renew_at.set(renew_at),
            ],
        )
        return self._keep(token, renew_at)

    @staticmethod
    def _release(item: PlatformTokenItem, actions: list[Action]) -> None:
        try:
            update(
                item,
                [*actions, PlatformTokenItem.leased_until.remove()],
                PlatformTokenItem.id.exists(),
            )
        except (Refused, Unavailable):
            # The lease ends by itself, and this process has its token.
            return
