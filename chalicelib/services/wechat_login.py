"""WechatLogin the page inside WeChat: the round trip that tells which openid the browser has."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, RecoveryExpired, ServiceError
from ..security.tokens import TOKEN_LIFETIME
from ..store.budgets import claim_once
from ..wechat.client import OAuthRefused, WechatClient
from .qr_scenes import QrScenes

STATE_LIFETIME = 600
"""Seconds that the round trip may take."""


@dataclass(frozen=True)
class OAuthState:
    """A round trip under way, known to its browser alone: the nonce, and the login scanned."""

    nonce: str
    login: str | None


@dataclass(frozen=True)
class AuthorizationRedirect:
    """Where to send the browser, and what its cookie must hold when it returns."""

    url: str
    oauth_state: OAuthState


@dataclass(frozen=True)
class LoginResult:
    """The clean address to go on to, and the openid, None where it was known already."""

    url: str
    openid: str | None


class WechatLogin:
    """WeChat's OAuth with `snsapi_base`: silent for the person, and it gives the openid alone."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        scenes: QrScenes,
        platform: WechatClient,
        enter_url: str,
        site_url: str,
    ) -> None:
        self._clock = clock
        self._scenes = scenes
        self._platform = platform
        self._enter_url = enter_url
        self._site_url = site_url

    def begin(self, scene: str | None) -> AuthorizationRedirect:
        """Begin the round trip. A scene that is forged or too old is dropped, not refused."""
        login = self._scenes.login(scene) if scene else None
        # WeChat takes letters and digits alone as a state.
        oauth_state = OAuthState(secrets.token_hex(16), login)
        return AuthorizationRedirect(
            self._platform.authorize_url(self._enter_url, oauth_state.nonce), oauth_state
        )

    def complete(
        self, code: str, state: str, oauth_state: OAuthState | None, known: str | None
    ) -> LoginResult:
        """End the round trip: check the state, exchange the code on the server.

        `oauth_state` is what the browser's cookie holds, `known` the openid that its other cookie says.
        Raises RecoveryExpired where the state is not this browser's or was used, InvalidInput
        where WeChat refuses the code, Unavailable where WeChat does not answer.
        """
        mine = oauth_state is not None and secrets.compare_digest(
            oauth_state.nonce.encode(), state.encode()
        )
        if not mine or not claim_once("state", state, self._clock(), STATE_LIFETIME):
            if known is None:
                raise RecoveryExpired
            # The redirect came a second time, as it may; the first one has done the work.
            return LoginResult(self._page(oauth_state if mine else None), None)
        try:
            openid = self._platform.exchange(code)
        except OAuthRefused:
            raise InvalidInput("code", INPUT_REASONS["oauth"]) from None
        return LoginResult(self._page(oauth_state), openid)

    def follow_link(self, scene: str) -> str:
        """Return the link of a QR code that opens the Official Account with this scene.

        Where WeChat provides none, the link of the page inside WeChat: the recovery can still be
        continued there, and the account be followed from there.
        """
        try:
            return self._platform.follow_qr(scene, TOKEN_LIFETIME)
        except ServiceError:
            return f"{self._enter_url}?scene={scene}"

    def error_redirect(self, error: ServiceError) -> str:
        """The page's address, where it tells the person why `error` kept them from wechat_login."""
        return f"{self._site_url}/?entry={error.code}"

    def _page(self, oauth_state: OAuthState | None) -> str:
        login = oauth_state.login if oauth_state else None
        return f"{self._site_url}/" + (f"?login={login}" if login else "")
