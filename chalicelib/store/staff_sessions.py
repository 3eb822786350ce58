"""Sessions of the support desk's staff that were ended before their time."""

from __future__ import annotations

from ..domain.staff import SESSION_LIFETIME
from .budgets import claim_once
from .dynamo import read
from .ephemeral_models import OnceItem

_KIND = "desk-session"


def end(session: str, now: int) -> None:
    """Record the end of a session for as long as its cookie is valid. Raises Unavailable."""
    claim_once(_KIND, session, now, SESSION_LIFETIME)


def has_ended(session: str, now: int) -> bool:
    """Return whether the session was ended, by a consistent read. Raises Unavailable."""
    item = read(OnceItem, f"{_KIND}#{session}")
    return item is not None and item.expires_at > now
