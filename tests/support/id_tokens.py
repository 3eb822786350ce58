"""ID tokens signed with keys of the tests."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

ISSUER, CLIENT, NONCE, NOW = "https://id.example", "desk", "n-0S6_WzA2Mj", 1_800_000_000

RSA = RSAKey.generate_key(2048, auto_kid=True)
EC = ECKey.generate_key("P-256", auto_kid=True)
ED = OKPKey.generate_key("Ed25519", auto_kid=True)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "248289761001",
    "nonce": NONCE,
    "iat": NOW,
    "exp": NOW + 300,
}


def public(*keys: Any, **members: Any) -> dict[str, Any]:
    """Return a JWKS document."""
    return {"keys": [{**key.as_dict(private=False), **members} for key in keys]}


def signed(
    claims: dict[str, Any] | None = None, key: Any = RSA, alg: str = "RS256", **header: Any
) -> str:
    """Return a token signed with the key; `claims` replace those of CLAIMS, None removes one."""
    merged = {**CLAIMS, **(claims or {})}
    kept = {name: value for name, value in merged.items() if value is not None}
    named = {"alg": alg, "kid": key.kid, **header}
    named = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(named, kept, key, algorithms=[alg])
