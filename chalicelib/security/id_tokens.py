"""Verification of OpenID Connect ID tokens: the signature by PyJWT, the claims by this service's clock.

PyJWT was chosen over joserfc and Authlib: it has one dependency, cryptography, which the service has
anyway, it is the smallest (0.3 MB against 0.9 and more) and the quickest to import (30 ms against
40 ms of CPU time), and it is maintained and widely used. Its own claim checks read the system's
clock, so the claims are compared here, and each rule has one place. The local identity provider
signs with joserfc, so that the two sides do not share a misreading of the standard.

Source: OpenID Connect Core 1.0, 3.1.3.7 (ID Token Validation); RFC 8725 (JWT Best Current Practices).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.api_jwk import PyJWK

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Accepted signatures, all of them asymmetric: `none` and HMAC are never accepted, since the keys of a
provider are public, and an HMAC over a public key can be made by everybody."""

_KEY_TYPES = ("RSA", "EC", "OKP")

MAXIMUM_LENGTH = 16_384
"""Characters of an ID token; the longest that providers issue, with many groups, have a few thousand."""

LEEWAY = 60
"""Seconds by which the provider's clock may differ."""

_LONGEST_SUBJECT = 255
"""OpenID Connect Core 1.0, section 2: at most 255 ASCII characters."""


class IdTokenRefused(Exception):
    """An ID token is not valid; the text says why, for the log, and quotes nothing of the token."""


class UnknownKey(IdTokenRefused):
    """The token names a key that the key set does not have; a newer key set may have it."""


def signing_keys(key_set: Any) -> dict[str, dict[str, Any]]:
    """Return the usable keys of a JWKS document by their `kid`; an empty name where a key has none.

    Symmetric keys, keys for encryption and anything of another shape are left out.
    """
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    found: dict[str, dict[str, Any]] = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, dict) or key.get("kty") not in _KEY_TYPES:
            continue
        if key.get("use", "sig") != "sig":
            continue
        name = key.get("kid", "")
        if isinstance(name, str):
            found[name] = key
    return found


def verify(
    token: str,
    keys: Mapping[str, Mapping[str, Any]],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: int,
) -> dict[str, Any]:
    """Return the claims of an ID token that `issuer` issued for this client and this sign-in.

    `keys` are those of `signing_keys`, `now` is in epoch seconds. Raises UnknownKey, IdTokenRefused.
    """
    if len(token) > MAXIMUM_LENGTH:
        raise IdTokenRefused("too long")
    claims = _signed_claims(token, keys)
    _check_claims(claims, issuer=issuer, client_id=client_id, nonce=nonce, now=now)
    return claims


def _signed_claims(token: str, keys: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise IdTokenRefused(f"malformed: {type(error).__name__}") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise IdTokenRefused("algorithm not accepted")
    key = _key(header.get("kid"), keys)
    if key.get("alg", algorithm) != algorithm:
        raise IdTokenRefused("the key is for another algorithm")
    try:
        # The algorithm is that of the header only because it is in ALGORITHMS and fits the key.
        decoded = jwt.PyJWS(algorithms=list(ALGORITHMS)).decode_complete(
            token, PyJWK(dict(key), algorithm), algorithms=[algorithm]
        )
        claims = json.loads(decoded["payload"])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise IdTokenRefused(f"not verified: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise IdTokenRefused("no claims")
    return claims


def _key(name: Any, keys: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if name is None and len(keys) == 1:
        # A provider with one key need not name it (OpenID Connect Core 1.0, 10.1).
        return next(iter(keys.values()))
    if not isinstance(name, str) or name not in keys:
        raise UnknownKey("unknown key")
    return keys[name]


def _check_claims(
    claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: int
) -> None:
    if claims.get("iss") != issuer:
        raise IdTokenRefused("another issuer")
    audience = claims.get("aud")
    audiences: Sequence[Any] = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise IdTokenRefused("another audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise IdTokenRefused("another authorized party")
    if _time(claims, "exp") <= now - LEEWAY:
        raise IdTokenRefused("expired")
    if _time(claims, "iat") > now + LEEWAY:
        raise IdTokenRefused("issued in the future")
    if "nbf" in claims and _time(claims, "nbf") > now + LEEWAY:
        raise IdTokenRefused("not valid yet")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise IdTokenRefused("another nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise IdTokenRefused("no subject")
    if not subject.isascii() or not subject.isprintable():
        raise IdTokenRefused("no subject")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IdTokenRefused(f"no {name}")
    return value
