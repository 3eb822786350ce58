"""The followers of the Official Account."""

from __future__ import annotations

import logging

from ..domain.errors import Unavailable
from .dynamo import ConditionFailed, read, update
from .models import FollowerItem

log = logging.getLogger(__name__)


class Followers:
    """Whether each openid follows, by WeChat's events."""

    def is_following(self, openid: str) -> bool | None:
        """Return whether the openid follows, by its latest event; None before the first event.

        Raises Unavailable.
        """
        item = read(FollowerItem, openid)
        return None if item is None else bool(item.following)

    def note(self, openid: str, following: bool, at: int) -> None:
        """Store whether the openid follows, unless a later event has been stored.

        `at` is WeChat's CreateTime of the event, epoch seconds. Raises Unavailable.
        """
        is_newest = FollowerItem.openid.does_not_exist() | (FollowerItem.since <= at)
        try:
            update(
                FollowerItem(openid),
                [FollowerItem.following.set(following), FollowerItem.since.set(at)],
                is_newest,
            )
        except ConditionFailed:
            log.info("an older follower event was ignored")

    def left(self, openid: str, now: int) -> None:
        """Store that WeChat refused a send because the openid no longer follows.

        `now` in epoch seconds; a later follow event replaces it. Best effort.
        """
        try:
            self.note(openid, False, now)
        except Unavailable:
            log.warning("the end of a following could not be stored")
