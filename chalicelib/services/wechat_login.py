"""The OAuth round trip through WeChat that identifies the browser's openid."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, RecoveryExpired, ServiceError, Unavailable
from ..security.tokens import TOKEN_LIFETIME
from ..store.oauth_exchanges import RESULT_LIFETIME, Identity, OAuthExchanges
from ..wechat.client import PATIENCE, OAuthRefused, WechatClient
from .qr_scenes import QrScenes

STATE_LIFETIME = 600
"""Seconds within which the round trip must be completed."""

STATE_COOKIE_LIFETIME = STATE_LIFETIME + RESULT_LIFETIME
"""Seconds that the browser keeps a state, for repeats after the last possible completion."""

_POLL = 0.25
"""Seconds between two checks whether another request has the result."""

SNAPSHOT = "snapshot"
"""The page's `entry` where WeChat shows it as a snapshot, to a virtual account."""


@dataclass(frozen=True)
class OAuthState:
    """A round trip in progress, kept in the browser's cookie.

    `login` is the scanned login, `begun_at` is in epoch seconds.
    """

    nonce: str
    login: str | None
    begun_at: int


@dataclass(frozen=True)
class AuthorizationRedirect:
    """The address to send the browser to, and the state that its cookie must contain."""

    url: str
    oauth_state: OAuthState


@dataclass(frozen=True)
class LoginResult:
    """The address of the page, without code and state, and the openid; None for no person."""

    url: str
    openid: str | None


class WechatLogin:
    """WeChat's OAuth with the scope `snsapi_base`: without a prompt, for the openid alone."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        sleep: Callable[[float], None],
        scenes: QrScenes,
        platform: WechatClient,
        exchanges: OAuthExchanges,
        enter_url: str,
        site_url: str,
    ) -> None:
        """`sleep` waits for a number of seconds."""
        self._clock = clock
        self._sleep = sleep
        self._scenes = scenes
        self._platform = platform
        self._exchanges = exchanges
        self._enter_url = enter_url
        self._site_url = site_url

    def begin(self, scene: str | None) -> AuthorizationRedirect:
        """Begin the round trip. A scene that is forged or expired is ignored."""
        login = self._scenes.login(scene) if scene else None
        # WeChat accepts only letters and digits as a state.
        oauth_state = OAuthState(secrets.token_hex(16), login, self._clock())
        return AuthorizationRedirect(
            self._platform.authorize_url(self._enter_url, oauth_state.nonce), oauth_state
        )

    @staticmethod
    def find_state(state: str, oauth_states: Sequence[OAuthState]) -> OAuthState | None:
        """Return the round trip of this state, or None if it is not among this browser's."""
        for oauth_state in oauth_states:
            if secrets.compare_digest(oauth_state.nonce.encode(), state.encode()):
                return oauth_state
        return None

    def complete(self, code: str, oauth_state: OAuthState | None) -> LoginResult:
        """Complete the round trip: exchange the code for the openid.

        A code is valid once, but browsers may request the redirect twice, even in parallel. So a
        repeat returns the first result, or waits for it; it exchanges the code itself where the
        first exchange has failed.

        Raises RecoveryExpired where the round trip is not this browser's or too old, InvalidInput
        where WeChat refuses the code, Unavailable where WeChat does not answer.
        """
        if oauth_state is None:
            raise RecoveryExpired
        openid = self._identify(code, oauth_state).openid
        return LoginResult(self._page(oauth_state, None if openid else SNAPSHOT), openid)

    def _identify(self, code: str, oauth_state: OAuthState) -> Identity:
        state, started = oauth_state.nonce, self._clock()
        if started >= oauth_state.begun_at + STATE_LIFETIME:
            identity = self._exchanges.result(state, started)
            if identity is None:
                raise RecoveryExpired
            return identity
        for _ in range(int(PATIENCE / _POLL)):
            claimed = self._exchanges.claim(state, self._clock())
            if isinstance(claimed, Identity):
                return claimed
            if claimed is not None:
                return self._exchange(code, state, claimed)
            if self._clock() - started >= PATIENCE:
                break
            self._sleep(_POLL)
        raise Unavailable("wechat")

    def _exchange(self, code: str, state: str, holder: str) -> Identity:
        try:
            identity = Identity(self._platform.exchange(code))
        except OAuthRefused:
            # The code is refused as used where another request has taken over a slow exchange.
            earlier = self._exchanges.result(state, self._clock())
            if earlier is not None:
                return earlier
            self._exchanges.release(state, holder, self._clock())
            raise InvalidInput("code", INPUT_REASONS["oauth"]) from None
        except Unavailable:
            self._exchanges.release(state, holder, self._clock())
            raise
        self._exchanges.record(state, identity, self._clock())
        return identity

    def follow_link(self, scene: str) -> str:
        """Return the link of a QR code that opens the Official Account with this scene.

        Where WeChat provides none, the link of the page inside WeChat: the recovery can still be
        continued there, and the account be followed from there.
        """
        try:
            return self._platform.follow_qr(scene, TOKEN_LIFETIME)
        except ServiceError:
            return f"{self._enter_url}?scene={scene}"

    def error_redirect(self, error: ServiceError, oauth_state: OAuthState | None) -> str:
        """Return the page's address with the error's code, so that the page can explain it.

        The scanned login is kept.
        """
        return self._page(oauth_state, error.code)

    def _page(self, oauth_state: OAuthState | None, entry: str | None) -> str:
        login = oauth_state.login if oauth_state else None
        query = {"entry": entry, "login": login}
        given = "&".join(f"{name}={value}" for name, value in query.items() if value)
        return f"{self._site_url}/" + (f"?{given}" if given else "")
