"""Which ID tokens the desk accepts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from chalicelib.security import id_tokens
from chalicelib.security.id_tokens import IdTokenRefused, UnknownKey
from tests.support.id_tokens import CLAIMS, CLIENT, EC, ED, ISSUER, NONCE, NOW, RSA, public, signed


def by_hand(header: dict[str, Any], claims: Any = None, key: bytes | None = None) -> str:
    """Return a token made without a library; with a key its signature is an HMAC."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, CLAIMS if claims is None else claims)
    ]
    mac = b"" if key is None else hmac.new(key, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


def verify(token: str, document: Any = None, now: int = NOW) -> dict[str, Any]:
    """Verify a token by the suite's keys."""
    keys = id_tokens.signing_keys(public(RSA, EC, ED) if document is None else document)
    return id_tokens.verify(token, keys, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=now)


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (RSA, "RS512"), (EC, "ES256"), (ED, "EdDSA")]
)
def test_a_token_of_the_provider_is_accepted(key: Any, alg: str) -> None:
    """Whichever of the accepted algorithms it is signed with."""
    assert verify(signed(key=key, alg=alg)) == CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"exp": NOW - 59},
        {"iat": NOW + 60},
        {"nbf": NOW + 60},
        {"exp": NOW + 0.5},
    ],
)
def test_a_token_within_the_rules_is_accepted(claims: dict[str, Any]) -> None:
    """Clocks may differ by a minute; one audience may stand in a list."""
    verify(signed(claims))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": ["other"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": CLIENT + "x"}, "audience"),
        ({"aud": [CLIENT, "other"]}, "authorized party"),
        ({"azp": "other"}, "authorized party"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": None}, "no exp"),
        ({"exp": str(NOW + 300)}, "no exp"),
        ({"iat": NOW + 61}, "future"),
        ({"iat": None}, "no iat"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": [NONCE]}, "nonce"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": "a" * 256}, "subject"),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": "林"}, "subject"),
        ({"sub": 7}, "subject"),
    ],
)
def test_a_claim_that_is_wrong_refuses_the_token(claims: dict[str, Any], why: str) -> None:
    """Its signature is right each time."""
    with pytest.raises(IdTokenRefused, match=why):
        verify(signed(claims))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_a_token_without_signature_is_refused(alg: str) -> None:
    """`alg: none`, in any spelling."""
    with pytest.raises(IdTokenRefused, match="algorithm"):
        verify(by_hand({"alg": alg, "kid": RSA.kid}))


@pytest.mark.parametrize("alg", ["HS256", "RS256"])
def test_an_hmac_with_the_public_key_is_refused(alg: str) -> None:
    """Everybody has the public key, in each of its encodings."""
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        with pytest.raises(IdTokenRefused):
            verify(by_hand({"alg": alg, "kid": RSA.kid}, key=secret))


def test_a_symmetric_key_of_the_provider_is_never_used() -> None:
    """A key set that offers one does not make HMAC an algorithm."""
    shared = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"k" * 32).decode()}
    document = {"keys": [shared, *public(RSA)["keys"]]}
    assert set(id_tokens.signing_keys(document)) == {RSA.kid}
    with pytest.raises(IdTokenRefused):
        verify(by_hand({"alg": "HS256", "kid": "shared"}, key=b"k" * 32), document)


def test_a_key_of_another_person_is_refused() -> None:
    """Under the name of the provider's key, and brought along in the header."""
    mine = RSAKey.generate_key(2048)
    with pytest.raises(IdTokenRefused, match="not verified"):
        verify(signed(key=mine, kid=RSA.kid))
    with pytest.raises(UnknownKey):
        verify(signed(key=mine, kid="mine", jwk=mine.as_dict(private=False)))


def test_the_key_decides_about_the_algorithm() -> None:
    """A key for encryption, or for another algorithm, verifies nothing."""
    with pytest.raises(IdTokenRefused, match="another algorithm"):
        verify(signed(), public(RSA, alg="PS256"))
    with pytest.raises(UnknownKey):
        verify(signed(), public(RSA, use="enc"))
    with pytest.raises(IdTokenRefused, match="not verified"):
        verify(signed(kid=EC.kid))


def test_the_name_of_the_only_key_may_be_left_out() -> None:
    """With several keys it may not, since one would be guessed."""
    assert verify(signed(kid=None), public(RSA)) == CLAIMS
    with pytest.raises(UnknownKey):
        verify(signed(kid=None))


def test_a_key_whose_name_is_no_text_is_left_out() -> None:
    """The other keys of the set stay usable."""
    named, other = public(RSA, EC)["keys"]
    assert set(id_tokens.signing_keys({"keys": [{**named, "kid": [1]}, other]})) == {EC.kid}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "....",
        "é.é.é",
        by_hand({"alg": ["RS256"], "kid": "k"}),
        by_hand({"alg": "RS256", "kid": ["k"]}),
        "x" * 20_000,
        signed()[:-6],
        signed() + ".x",
    ],
)
def test_rubbish_is_refused(token: str) -> None:
    """Never by another exception."""
    with pytest.raises(IdTokenRefused):
        verify(token)


def test_a_payload_that_is_no_object_is_refused() -> None:
    """Signed by the provider, but no claims."""
    from joserfc import jws

    token = jws.serialize_compact({"alg": "RS256", "kid": RSA.kid}, b"[1]", RSA)
    with pytest.raises(IdTokenRefused, match="no claims"):
        verify(token)


@pytest.mark.parametrize("document", [None, [], {}, {"keys": 1}, {"keys": [1, {}, {"kty": "RSA"}]}])
def test_a_key_set_of_another_shape_has_no_usable_key(document: Any) -> None:
    """A malformed key raises nothing else at its use."""
    keys = id_tokens.signing_keys(document)
    with pytest.raises(IdTokenRefused):
        id_tokens.verify(signed(), keys, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=NOW)
