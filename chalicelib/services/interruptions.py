"""Recoveries that a person left for the Official Account's chat, to read the code there."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.requester import Requester
from ..security.tokens import TOKEN_LIFETIME
from ..store.codes import Codes
from ..store.sends import Sends


class Interruptions:
    """Finds the login of the recovery that a WeChat was in, by the code that was sent for it."""

    def __init__(
        self, codes: Codes, sends: Sends, requester_of: Callable[[str], Requester]
    ) -> None:
        """`requester_of` identifies an openid."""
        self._codes = codes
        self._sends = sends
        self._requester_of = requester_of

    def login(self, openid: str, now: int) -> str | None:
        """Return the login whose unused code was sent for this WeChat within a recovery's time.

        `now` in epoch seconds. One read, and a second one where a code was sent. Raises Unavailable.
        """
        requester = self._requester_of(openid)
        login = self._sends.last_login(requester, now - TOKEN_LIFETIME)
        if login is None or not self._codes.is_unused(login, requester):
            return None
        return login
