"""Whether a WeChat certainly follows the Official Account, so that it may be bound to a login."""

from __future__ import annotations

import logging

from ..domain.canary import is_canary
from ..domain.errors import Unavailable
from ..store.followers import Followers
from ..wechat.client import WechatClient

log = logging.getLogger(__name__)

_PATIENCE = 3
"""Seconds that WeChat may need: the password's write and the notices follow within the same call."""


class FollowerCheck:
    """Checks by the account's events, and by one request to WeChat where there has been none."""

    def __init__(self, followers: Followers, platform: WechatClient) -> None:
        self._followers = followers
        self._platform = platform

    def certainly_follows(self, openid: str) -> bool:
        """Return whether the openid follows; False where WeChat does not answer.

        A code that is pushed to a WeChat that does not follow never arrives. Raises Unavailable where
        the store does not answer.
        """
        if is_canary(openid):
            return False
        known = self._followers.is_following(openid)
        if known is not None:
            return known
        try:
            return self._platform.is_following(openid, _PATIENCE)
        except Unavailable:
            log.warning("wechat does not answer whether a visitor follows")
            return False
