"""Tokens in the links of WeChat notices, by which the owner of a login freezes it."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from ..domain.limits import DAY
from ..domain.logins import LOGIN_PATTERN
from .tokens import Signer, has_shape

FREEZE_LIFETIME = 7 * DAY
"""Seconds that a notice's link is valid."""

MAXIMUM_LENGTH = 512
"""Characters, far above those of a token."""

_PURPOSE = "freeze"

_DIGITS = 32


class FreezeClaims(NamedTuple):
    """What a link says: the login, the WeChat that the notice was sent to, and when it was sent."""

    login: str
    recipient: str
    """Keyed digest of the openid, since a link is in histories and logs of other parties."""
    issued_at: int
    """Epoch seconds."""


class FreezeTokens:
    """Makes and reads the tokens. They permit to freeze one login and nothing else."""

    def __init__(self, signer: Signer, pepper: bytes) -> None:
        """`pepper` keys the digests of openids."""
        self._signer = signer
        self._pepper = pepper

    def issue(self, login: str, openid: str, now: int) -> str:
        """Return the URL-safe token of a notice about `login` to `openid`, valid for seven days.

        `now` is the time of the event in epoch seconds.
        """
        claims = [login, self._recipient(openid), now]
        return self._signer.sign(_PURPOSE, claims, FREEZE_LIFETIME)

    def read(self, token: str) -> FreezeClaims | None:
        """Return the claims, or None where the token is forged, of another purpose, or too old."""
        if len(token) > MAXIMUM_LENGTH:
            return None
        value = self._signer.verify(_PURPOSE, token)
        if not has_shape(value, (str, str, int)) or not re.fullmatch(LOGIN_PATTERN, value[0]):
            return None
        return FreezeClaims(*value)

    def is_recipient(self, claims: FreezeClaims, openid: str) -> bool:
        """Return whether the notice was sent to this openid, in constant time."""
        return hmac.compare_digest(claims.recipient.encode(), self._recipient(openid).encode())

    def _recipient(self, openid: str) -> str:
        message = b"freeze\0" + openid.encode("utf-8", "replace")
        return hmac.new(self._pepper, message, hashlib.sha256).hexdigest()[:_DIGITS]
