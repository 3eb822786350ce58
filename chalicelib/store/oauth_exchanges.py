"""The exchanges of OAuth codes, so that a repeated request gets the first one's result."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from ..domain.errors import Unavailable
from .dynamo import ConditionFailed, raw_text, read, update
from .ephemeral_models import OAuthExchangeItem
from .message_dedup import TextSealer

log = logging.getLogger(__name__)

RESULT_LIFETIME = 600
"""Seconds from the beginning of an exchange for which its result is available."""

LEASE = 10
"""Seconds after which an exchange without a result has ended: the function's time-out."""


@dataclass(frozen=True)
class Identity:
    """The result of an exchange: the openid, or None if WeChat identified no person."""

    openid: str | None


class OAuthExchanges:
    """Exchanges by their state: one at a time, and one successful one. Results are encrypted."""

    def __init__(self, sealer: TextSealer) -> None:
        self._sealer = sealer

    def claim(self, state: str, now: int) -> str | Identity | None:
        """Begin an exchange unless there is one; `now` in epoch seconds. One write.

        Returns the holder's id where the caller is to exchange the code, the result of an earlier
        exchange where there is one, None where another request is exchanging the code. Raises
        Unavailable.
        """
        holder = secrets.token_hex(8)
        free = (
            OAuthExchangeItem.id.does_not_exist()
            | (OAuthExchangeItem.expires_at <= now)
            | (OAuthExchangeItem.sealed.does_not_exist() & (OAuthExchangeItem.leased_until <= now))
        )
        actions = [
            OAuthExchangeItem.holder.set(holder),
            OAuthExchangeItem.leased_until.set(now + LEASE),
            OAuthExchangeItem.expires_at.set(now + RESULT_LIFETIME),
            # That of an expired item, which DynamoDB has not deleted yet.
            OAuthExchangeItem.sealed.remove(),
        ]
        try:
            update(_item(state), actions, free, lambda item: item.holder == holder)
        except ConditionFailed as failure:
            return self._opened(state, raw_text(failure.items[0], "sealed"))
        return holder

    def result(self, state: str, now: int) -> Identity | None:
        """Return the result of the state's exchange, or None without one. Raises Unavailable."""
        item = read(OAuthExchangeItem, _item(state).id)
        if item is None or item.expires_at <= now:
            return None
        return self._opened(state, item.sealed)

    def record(self, state: str, identity: Identity, now: int) -> None:
        """Store the result of an exchange, encrypted.

        A failure is logged only: the caller has the result, and a repeat may fail for it.
        """
        sealed = self._sealer.seal(_purpose(state), identity.openid or "")
        try:
            update(
                _item(state),
                [
                    OAuthExchangeItem.sealed.set(sealed),
                    OAuthExchangeItem.expires_at.set(now + RESULT_LIFETIME),
                ],
            )
        except Unavailable:
            log.warning("the result of an oauth exchange was not stored")

    def release(self, state: str, holder: str, now: int) -> None:
        """End an exchange without a result, so that a repeat may exchange the code at once.

        Does nothing where another request has taken over. Without it the lease ends by itself.
        """
        actions = [OAuthExchangeItem.leased_until.set(now), OAuthExchangeItem.holder.remove()]
        try:
            update(_item(state), actions, OAuthExchangeItem.holder == holder)
        except (ConditionFailed, Unavailable):
            log.warning("an oauth exchange was not released")

    def _opened(self, state: str, sealed: str | None) -> Identity | None:
        text = None if sealed is None else self._sealer.unseal(_purpose(state), sealed)
        return None if text is None else Identity(text or None)


def _item(state: str) -> OAuthExchangeItem:
    return OAuthExchangeItem(f"oauth#{state}")


def _purpose(state: str) -> str:
    return f"oauth {state}"
