"""How far the phone is that scanned the QR code of a page on a PC."""

from __future__ import annotations

import logging
from typing import NamedTuple

from pynamodb.expressions.update import Action

from .dynamo import ConditionFailed, read, update
from .ephemeral_models import ScanItem

log = logging.getLogger(__name__)

STATES = ("open", "scanned", "followed", "code_sent", "done")
"""The states of a page's recovery, in their order."""


class Scan(NamedTuple):
    """How far the phone is."""

    state: str
    """A state of STATES."""
    recovery: str | None
    """Id of its recovery, once a code was sent for it."""


class ScanProgress:
    """Items of pages, each written by the phone that scanned the page's QR code."""

    def advance(
        self, login: str, page: str, state: str, expires_at: int, recovery: str | None = None
    ) -> None:
        """Store a state of STATES, unless a later one is stored. One UpdateItem.

        `page` is the page's name in its scene, `recovery` the id of the phone's recovery once it has one;
        `expires_at` is in epoch seconds. Raises Unavailable.
        """
        stage = STATES.index(state)
        actions: list[Action] = [
            ScanItem.stage.set(stage),
            ScanItem.expires_at.set(expires_at),
        ]
        if recovery is not None:
            actions.append(ScanItem.recovery.set(recovery))
        try:
            update(
                ScanItem(_key(login, page)),
                actions,
                ScanItem.stage.does_not_exist() | (ScanItem.stage < stage),
            )
        except ConditionFailed:
            log.info("the page has a later state")

    def of(self, login: str, page: str, now: int) -> Scan:
        """Return how far a page's phone is, by one read; `now` in epoch seconds. Raises Unavailable."""
        item = read(ScanItem, _key(login, page))
        if item is None or item.stage is None or item.expires_at <= now:
            return Scan(STATES[0], None)
        return Scan(STATES[int(item.stage)], item.recovery)


def _key(login: str, page: str) -> str:
    return f"scan#{login}#{page}"
