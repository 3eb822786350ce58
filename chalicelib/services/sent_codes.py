"""The live code of a visitor who returns to the page, so that no second one need be sent."""

from __future__ import annotations

from ..domain.codes import LIFETIME, SentCode
from ..domain.limits import MINUTE
from ..domain.requester import Requester
from ..store import audit
from ..store.codes import Codes, Destination


class SentCodes:
    """Finds codes that were sent for one requester; nobody learns of another visitor's code."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def find(
        self, login: str, destination: Destination, requester: Requester, now: int
    ) -> SentCode | None:
        """Return the requester's live code for the login, or None where it cannot be entered.

        A code cannot be entered where it went elsewhere than to `destination`, or where the requester has
        no attempt left on it. `now` in epoch seconds. One read; a second one for a code that went to a
        WeChat. Raises Unavailable.
        """
        code = self._codes.live(login, requester, now)
        if code is None or not code.attempts_left:
            return None
        if code.to != self._codes.destination_id(destination.method, destination.address):
            return None
        is_pull = code.method == "wechat" and audit.gateway_of(login, code.send) == "wechat-pull"
        return SentCode(
            delivery="pull" if is_pull else "sent",
            expires_in=code.expires_at - now,
            resend_in=max(0, code.expires_at - LIFETIME + MINUTE - now),
        )
