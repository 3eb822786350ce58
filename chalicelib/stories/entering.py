"""Entering the page inside WeChat: the round trip that tells which openid the browser has."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, RecoveryExpired, ServiceError
from ..store.limits import use_once
from ..wechat.platform import OAuthRefused, Platform
from .scenes import Scenes

STATE_LIFETIME = 600
"""Seconds that the round trip may take."""


@dataclass(frozen=True)
class Trip:
    """A round trip under way, known to its browser alone: the nonce, and the login scanned."""

    nonce: str
    login: str | None


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and what its cookie must hold when it returns."""

    url: str
    trip: Trip


@dataclass(frozen=True)
class Arrival:
    """The clean address to go on to, and the openid, None where it was known already."""

    url: str
    openid: str | None


class Entering:
    """WeChat's OAuth with `snsapi_base`: silent for the person, and it gives the openid alone."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        scenes: Scenes,
        platform: Platform,
        enter_url: str,
        site_url: str,
    ) -> None:
        self._clock = clock
        self._scenes = scenes
        self._platform = platform
        self._enter_url = enter_url
        self._site_url = site_url

    def depart(self, scene: str | None) -> Departure:
        """Begin the round trip. A scene that is forged or too old is dropped, not refused."""
        login = self._scenes.login(scene) if scene else None
        # WeChat takes letters and digits alone as a state.
        trip = Trip(secrets.token_hex(16), login)
        return Departure(self._platform.authorize_url(self._enter_url, trip.nonce), trip)

    def arrive(self, code: str, state: str, trip: Trip | None, known: str | None) -> Arrival:
        """End the round trip: check the state, exchange the code on the server.

        `trip` is what the browser's cookie holds, `known` the openid that its other cookie says.
        Raises RecoveryExpired where the state is not this browser's or was used, InvalidInput
        where WeChat refuses the code, Unavailable where WeChat does not answer.
        """
        mine = trip is not None and secrets.compare_digest(trip.nonce.encode(), state.encode())
        if not mine or not use_once("state", state, self._clock(), STATE_LIFETIME):
            if known is None:
                raise RecoveryExpired
            # The redirect came a second time, as it may; the first one has done the work.
            return Arrival(self._page(trip if mine else None), None)
        try:
            openid = self._platform.exchange(code)
        except OAuthRefused:
            raise InvalidInput("code", INPUT_REASONS["oauth"]) from None
        return Arrival(self._page(trip), openid)

    def astray(self, error: ServiceError) -> str:
        """The page's address, where it tells the person why `error` kept them from entering."""
        return f"{self._site_url}/?entry={error.code}"

    def _page(self, trip: Trip | None) -> str:
        login = trip.login if trip else None
        return f"{self._site_url}/" + (f"?login={login}" if login else "")
