"""The OAuth round trip through WeChat that identifies the browser's openid."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, RecoveryExpired, ServiceError, Unavailable
from ..domain.logins import parse_login
from ..security.tokens import TOKEN_LIFETIME
from ..store.oauth_exchanges import RESULT_LIFETIME, Identity, OAuthExchanges
from ..wechat.client import PATIENCE, OAuthRefused, WechatClient
from .interruptions import Interruptions
from .qr_scenes import QrScenes

log = logging.getLogger(__name__)

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

    `login` is that of the scanned QR code or of the message whose link was opened, `scene` that of a
    QR code whose page shows how far the phone is; `begun_at` is in epoch seconds.
    """

    nonce: str
    login: str | None
    scene: str | None
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
        interruptions: Interruptions,
        enter_url: str,
        site_url: str,
    ) -> None:
        """`sleep` waits for a number of seconds."""
        self._clock = clock
        self._sleep = sleep
        self._scenes = scenes
        self._platform = platform
        self._exchanges = exchanges
        self._interruptions = interruptions
        self._enter_url = enter_url
        self._site_url = site_url

    def begin(self, scene: str | None, login: str | None = None) -> AuthorizationRedirect:
        """Begin the round trip for a QR code's scene, or for the login of a message's link.

        A scene that is forged or expired is ignored, and so is a text that is not a login.
        """
        scanned = self._scenes.read(scene) if scene else None
        if scanned is not None:
            login = scanned.login
        elif login is not None:
            login = _parsed(login)
        # WeChat accepts only letters and digits as a state.
        is_awaited = scanned is not None and scanned.page is not None
        oauth_state = OAuthState(
            secrets.token_hex(16), login, scene if is_awaited else None, self._clock()
        )
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
        if openid is not None and oauth_state.login is None:
            oauth_state = replace(oauth_state, login=self._interrupted(openid))
        return LoginResult(self._page(oauth_state, None if openid else SNAPSHOT), openid)

    def _interrupted(self, openid: str) -> str | None:
        """Return the login whose recovery this WeChat left to read the code, or None."""
        try:
            return self._interruptions.login(openid, self._clock())
        except ServiceError as error:
            # The person can enter the login.
            log.warning("an interrupted recovery was not found: %s", error.code)
            return None

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
        scene = oauth_state.scene if oauth_state else None
        query = {"entry": entry, "login": login, "scene": scene}
        given = "&".join(f"{name}={value}" for name, value in query.items() if value)
        return f"{self._site_url}/" + (f"?{given}" if given else "")


def _parsed(login: str) -> str | None:
    try:
        return str(parse_login(login))
    except InvalidInput:
        return None
