"""The OpenID Connect provider of the support desk's staff: discovery, key set, code exchange.

Source: OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0; RFC 7636 (PKCE).
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from ..domain.errors import Unavailable
from ..http_client import HttpClient, OutcomeUnknown, RequestNotSent
from . import id_tokens
from .id_tokens import IdTokenRefused, UnknownKey

log = logging.getLogger(__name__)

DEPENDENCY = "identity-provider"

_DISCOVERY_LIFETIME = 3_600
_KEYS_LIFETIME = 600
"""Seconds for which a key set is used: a key that the provider has withdrawn is refused after them."""

_KEYS_PAUSE = 60
"""Seconds between two requests for the key set because of an unknown key."""


class SignInRefused(Exception):
    """The provider refused the code; the text is its error code or a status, for the log."""


@dataclass(frozen=True)
class Provider:
    """The parts of a provider's discovery document that are used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    posts_secret: bool
    """Whether the client's secret goes into the body, since the provider accepts no other way."""


def challenge(verifier: str) -> str:
    """Return the S256 code challenge of a PKCE verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class OidcClient:
    """A client of one provider; safe for several threads."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        http: HttpClient,
        clock: Callable[[], int],
    ) -> None:
        """`issuer` is compared character by character; an empty secret means a public client."""
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._http = http
        self._clock = clock
        self._guard = threading.Lock()
        self._provider: tuple[int, Provider] | None = None
        self._keys: tuple[int, dict[str, dict[str, Any]]] | None = None

    def authorize_url(self, state: str, nonce: str, verifier: str) -> str:
        """Return the provider's address at which the sign-in begins. Raises Unavailable."""
        endpoint = self._discovered().authorization_endpoint
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(parameters)

    def exchange(self, code: str, verifier: str) -> str:
        """Exchange a code for the ID token, not yet verified. Raises SignInRefused, Unavailable."""
        provider = self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if not self._client_secret or provider.posts_secret:
            form["client_id"] = self._client_id
            if self._client_secret:
                form["client_secret"] = self._client_secret
        else:
            # RFC 6749, 2.3.1: both parts are form-encoded first.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        status, answer = self._call(
            "POST", provider.token_endpoint, headers, urlencode(form).encode()
        )
        if 400 <= status < 500:
            raise SignInRefused(f"{status} {_word(answer.get('error'))}")
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise Unavailable(DEPENDENCY)
        return token

    def verify(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token of this sign-in.

        A key that the cached key set does not have leads to one request for a newer set, at most
        once in `_KEYS_PAUSE` seconds. Raises IdTokenRefused, Unavailable.
        """
        try:
            return self._verified(token, nonce, self._key_set(_KEYS_LIFETIME))
        except UnknownKey:
            return self._verified(token, nonce, self._key_set(_KEYS_PAUSE))

    def _verified(self, token: str, nonce: str, keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return id_tokens.verify(
            token,
            keys,
            issuer=self._issuer,
            client_id=self._client_id,
            nonce=nonce,
            now=self._clock(),
        )

    def end_session_url(self, after: str) -> str | None:
        """Return the address that ends the provider's own session and then leads to `after`.

        None where the provider has none, or does not answer now.
        """
        try:
            endpoint = self._discovered().end_session_endpoint
        except Unavailable:
            return None
        if endpoint is None:
            return None
        parameters = {"client_id": self._client_id, "post_logout_redirect_uri": after}
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(parameters)

    def _discovered(self) -> Provider:
        now = self._clock()
        with self._guard:
            if self._provider is not None and now - self._provider[0] < _DISCOVERY_LIFETIME:
                return self._provider[1]
        address = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        status, document = self._call("GET", address, {"Accept": "application/json"})
        provider = self._read(document) if status == 200 else None
        if provider is None:
            raise Unavailable(DEPENDENCY)
        with self._guard:
            self._provider = now, provider
        return provider

    def _read(self, document: Mapping[str, Any]) -> Provider | None:
        """Return the provider of a discovery document; None where it is not this issuer's."""
        if document.get("issuer") != self._issuer:
            log.error("the identity provider's document names another issuer")
            return None
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        endpoints = [document.get(name) for name in names]
        if not all(map(self._is_secure, endpoints)):
            log.error("the identity provider's document lacks an address, or has an insecure one")
            return None
        end = document.get("end_session_endpoint")
        methods = document.get("token_endpoint_auth_methods_supported")
        # The default is client_secret_basic (Discovery 1.0, section 3).
        basic = not isinstance(methods, list) or "client_secret_basic" in methods
        authorization, token, jwks = map(str, endpoints)
        return Provider(
            authorization_endpoint=authorization,
            token_endpoint=token,
            jwks_uri=jwks,
            end_session_endpoint=str(end) if self._is_secure(end) else None,
            posts_secret=not basic,
        )

    def _is_secure(self, address: Any) -> bool:
        """Return whether an address has TLS; one of a provider on this machine need not."""
        if not isinstance(address, str) or not address.isascii() or not address.isprintable():
            return False
        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        allowed = {"https", urlsplit(self._issuer).scheme}
        return parts.scheme in allowed and bool(parts.hostname) and not parts.fragment

    def _key_set(self, oldest: int) -> dict[str, dict[str, Any]]:
        """Return the key set, requested again where it is `oldest` seconds old."""
        now = self._clock()
        with self._guard:
            if self._keys is not None and now - self._keys[0] < oldest:
                return self._keys[1]
        address = self._discovered().jwks_uri
        status, document = self._call("GET", address, {"Accept": "application/json"})
        keys = id_tokens.signing_keys(document) if status == 200 else {}
        if not keys:
            raise Unavailable(DEPENDENCY)
        with self._guard:
            self._keys = now, keys
        return keys

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of an answer. Raises Unavailable."""
        try:
            response = self._http.request(method, url, headers, body)
        except (RequestNotSent, OutcomeUnknown) as error:
            log.warning("the identity provider does not answer: %s", error)
            raise Unavailable(DEPENDENCY) from None
        try:
            answer = json.loads(response.body or b"")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            if 400 <= response.status < 500:
                return response.status, {}
            raise Unavailable(DEPENDENCY)
        return response.status, answer


def _word(text: Any) -> str:
    """Return an error code of RFC 6749 for the log; anything else is left out."""
    known = isinstance(text, str) and text.replace("_", "").isalpha() and text.isascii()
    return str(text)[:40] if known else "unknown"


__all__ = ["IdTokenRefused", "OidcClient", "Provider", "SignInRefused", "challenge"]
