"""The OAuth round trip through WeChat that identifies the browser's openid."""

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
"""Seconds within which the round trip must be completed."""


@dataclass(frozen=True)
class OAuthState:
    """A round trip in progress, kept in the browser's cookie: the nonce, and the scanned login."""

    nonce: str
    login: str | None


@dataclass(frozen=True)
class AuthorizationRedirect:
    """The address to send the browser to, and the state that its cookie must contain."""

    url: str
    oauth_state: OAuthState


@dataclass(frozen=True)
class LoginResult:
    """The address of the page, without code and state, and the openid; None where it was known."""

    url: str
    openid: str | None


class WechatLogin:
    """WeChat's OAuth with the scope `snsapi_base`: without a prompt, for the openid alone."""

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
        """Begin the round trip. A scene that is forged or expired is ignored."""
        login = self._scenes.login(scene) if scene else None
        # WeChat accepts only letters and digits as a state.
        oauth_state = OAuthState(secrets.token_hex(16), login)
        return AuthorizationRedirect(
            self._platform.authorize_url(self._enter_url, oauth_state.nonce), oauth_state
        )

    def complete(
        self, code: str, state: str, oauth_state: OAuthState | None, known_openid: str | None
    ) -> LoginResult:
        """Complete the round trip: check the state, exchange the code for the openid.

        `oauth_state` and `known_openid` are the contents of the browser's two cookies.
        Raises RecoveryExpired where the state is not this browser's or was used, InvalidInput
        where WeChat refuses the code, Unavailable where WeChat does not answer.
        """
        mine = oauth_state is not None and secrets.compare_digest(
            oauth_state.nonce.encode(), state.encode()
        )
        if not mine or not claim_once("state", state, self._clock(), STATE_LIFETIME):
            if known_openid is None:
                raise RecoveryExpired
            # Browsers may follow the redirect twice; the first request has identified the openid.
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
        """Return the page's address with the error's code, so that the page can explain it."""
        return f"{self._site_url}/?entry={error.code}"

    def _page(self, oauth_state: OAuthState | None) -> str:
        login = oauth_state.login if oauth_state else None
        return f"{self._site_url}/" + (f"?login={login}" if login else "")
