"""Sign the staff in by OpenID Connect: authorization code with PKCE, state and nonce."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from ...domain.errors import SignInRequired
from ...domain.staff import SESSION_LIFETIME, Staff, display_name, is_reserved, roles_of
from ...security.oidc import IdTokenRefused, OidcClient, SignInRefused
from ...store import staff_sessions
from ...store.budgets import claim_once

log = logging.getLogger(__name__)

ROUND_TRIP_LIFETIME = 600
"""Seconds that a person has for signing in at the provider."""

# Part of the fragment of the page's address, such as `logins/11010148`.
_PLACE = re.compile(r"[0-9A-Za-z_-]{1,40}(?:/[0-9A-Za-z_-]{1,80}){0,3}", re.ASCII)


@dataclass(frozen=True)
class RoundTrip:
    """A sign-in in progress; a cookie binds it to the browser."""

    state: str
    nonce: str
    verifier: str
    place: str
    """Where the person was; empty for the desk's start."""


@dataclass(frozen=True)
class SignInResult:
    """Where the browser goes next, and the session; None where the sign-in failed."""

    url: str
    staff: Staff | None


class SignIn:
    """Sign-in, sessions and sign-out of the staff."""

    def __init__(
        self, *, clock: Callable[[], int], client: OidcClient, role_claim: str, site_url: str
    ) -> None:
        self._clock = clock
        self._client = client
        self._role_claim = role_claim
        self._desk = f"{site_url}/support/"

    def begin(self, place: str) -> tuple[str, RoundTrip]:
        """Return the provider's address and the new round trip. Raises Unavailable.

        A place that is not one of the desk's own is dropped, so that nobody is sent elsewhere.
        """
        round_trip = RoundTrip(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            place=place if _PLACE.fullmatch(place) else "",
        )
        url = self._client.authorize_url(round_trip.state, round_trip.nonce, round_trip.verifier)
        return url, round_trip

    def complete(self, code: str, state: str, round_trip: RoundTrip | None) -> SignInResult:
        """Exchange the code and return the session.

        `round_trip` is that of the browser's cookie. A state that is not this browser's, or was used
        before, ends at the desk with a reason. Raises Unavailable.
        """
        if round_trip is None or not secrets.compare_digest(
            round_trip.state.encode(), state.encode()
        ):
            return SignInResult(self.failure("expired"), None)
        now = self._clock()
        if not claim_once("desk-state", state, now, ROUND_TRIP_LIFETIME):
            return SignInResult(self.failure("expired"), None)
        try:
            token = self._client.exchange(code, round_trip.verifier)
            claims = self._client.verify(token, round_trip.nonce)
        except (SignInRefused, IdTokenRefused) as error:
            log.warning("a sign-in was refused: %s", error)
            return SignInResult(self.failure("refused"), None)
        if is_reserved(claims["sub"]):
            log.warning("a sign-in was refused: the subject is the name of another actor")
            return SignInResult(self.failure("refused"), None)
        roles = roles_of(claims, self._role_claim)
        if not roles:
            return SignInResult(self.failure("role"), None)
        staff = Staff(
            subject=claims["sub"],
            name=display_name(claims),
            roles=roles,
            session=secrets.token_hex(16),
            ends_at=now + SESSION_LIFETIME,
        )
        # The fragment never leaves the browser, and no fragment leads to another host.
        place = f"#{round_trip.place}" if round_trip.place else ""
        return SignInResult(self._desk + place, staff)

    def failure(self, reason: str) -> str:
        """Return the desk's address with a reason of DESK_ENTRY."""
        return f"{self._desk}?{urlencode({'entry': reason})}"

    def check(self, staff: Staff) -> None:
        """Raise SignInRequired where the person has signed out. Raises Unavailable."""
        if staff_sessions.has_ended(staff.session, self._clock()):
            raise SignInRequired

    def end(self, staff: Staff) -> str:
        """End the session here and return the address that ends the provider's own session.

        The cookie alone would stay valid until the end of its time, wherever a copy of it is.
        Raises Unavailable.
        """
        staff_sessions.end(staff.session, self._clock())
        return self._client.end_session_url(self._desk) or self._desk
