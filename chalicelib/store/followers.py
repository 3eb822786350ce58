"""Who follows the Official Account."""

from __future__ import annotations

import logging

from ..domain.errors import Unavailable
from .dynamo import ConditionFailed, read, update
from .models import FollowerItem

log = logging.getLogger(__name__)


class Followers:
    """The table of followers."""

    def is_following(self, openid: str) -> bool | None:
        """Whether the openid follows, as WeChat's events told; None where none has come yet."""
        item = read(FollowerItem, openid)
        return None if item is None else bool(item.following)

    def note(self, openid: str, following: bool, at: int) -> None:
        """Keep what an event of the time `at` (WeChat's CreateTime) said, unless a later one came."""
        newest = FollowerItem.openid.does_not_exist() | (FollowerItem.since <= at)
        try:
            update(
                FollowerItem(openid),
                [FollowerItem.following.set(following), FollowerItem.since.set(at)],
                newest,
            )
        except ConditionFailed:
            log.info("an older follower event was passed over")

    def left(self, openid: str, now: int) -> None:
        """Keep that a send found the openid gone; the next event of following overrules it."""
        try:
            self.note(openid, False, now)
        except Unavailable:
            log.warning("could not note that a follower has left")
