"""Credentials issued by WeChat: access tokens and OAuth codes."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

TOKEN_LIFETIME = 7_200
OVERLAP = 300
"""Seconds before expiry in which a new token is issued; the old one stays valid as long."""

CODE_LIFETIME = 300

_REMEMBERED = 1_000


@dataclass
class _Token:
    value: str
    expires_at: int
    revoked: bool = False


class AccessTokens:
    """The account's access tokens, as issued by `stable_token`."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._tokens: list[_Token] = []
        self.issued = 0
        """Number of requests for a token."""

    def get(self, force: bool) -> tuple[str, int]:
        """Return the token and its remaining lifetime in seconds; `force` revokes the old ones."""
        with self._guard:
            self.issued += 1
            now = self._clock()
            latest = self._tokens[-1] if self._tokens else None
            usable = latest is not None and not latest.revoked and latest.expires_at - now > OVERLAP
            if latest is None or force or not usable:
                for token in self._tokens:
                    if force:
                        token.revoked = True
                    else:
                        token.expires_at = min(token.expires_at, now + OVERLAP)
                latest = _Token(secrets.token_urlsafe(96), now + TOKEN_LIFETIME)
                self._tokens = [*self._tokens[-3:], latest]
            return latest.value, latest.expires_at - now

    def revoke(self) -> None:
        """Revoke every token, as a reset of the AppSecret does."""
        with self._guard:
            for token in self._tokens:
                token.revoked = True

    def refusal(self, value: str | None) -> int:
        """Return WeChat's error code for a token; 0 for a valid one."""
        if not value:
            return 41001
        with self._guard:
            token = next((token for token in self._tokens if token.value == value), None)
            if token is None:
                return 40014 if len(value) < 16 else 40001
            if token.revoked:
                return 40001
            return 42001 if token.expires_at <= self._clock() else 0


@dataclass(frozen=True)
class Grant:
    """What an OAuth code stands for. `snapshot` marks the virtual account of a snapshot page."""

    openid: str
    snapshot: bool = False


class OAuthCodes:
    """Single-use OAuth codes, each for one openid."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._codes: OrderedDict[str, tuple[Grant, int]] = OrderedDict()
        self._used: OrderedDict[str, None] = OrderedDict()

    def make(self, grant: Grant) -> str:
        """Create a code."""
        code = secrets.token_hex(16)
        with self._guard:
            self._codes[code] = (grant, self._clock() + CODE_LIFETIME)
            while len(self._codes) > _REMEMBERED:
                self._codes.popitem(last=False)
        return code

    def redeem(self, code: str) -> Grant | int:
        """Return the code's grant, or WeChat's error code."""
        if not code:
            return 41008
        with self._guard:
            if code in self._used:
                return 40163
            if code not in self._codes:
                return 40029
            grant, expires_at = self._codes.pop(code)
            self._used[code] = None
            while len(self._used) > _REMEMBERED:
                self._used.popitem(last=False)
            return grant if expires_at > self._clock() else 40029
