"""The desk's OpenID Connect client: which ID tokens it accepts, and its requests to the provider."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.staff import Role, display_name, roles_of
from chalicelib.http_client import HttpClient
from chalicelib.security import id_tokens
from chalicelib.security.id_tokens import IdTokenRefused, UnknownKey
from chalicelib.security.oidc import OidcClient, SignInRefused
from chalicelib.settings import parsers
from tests.conftest import Clock
from tests.support.http_server import Received, Server, serving

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


# The client's requests.

Answers = dict[str, tuple[int, Any]]


class Provider:
    """An identity provider with scripted answers by path, and the client under test."""

    def __init__(self, server: Server, answers: Answers, secret: str = "s:cret/") -> None:
        self.server = server
        self.answers = answers
        self.clock = Clock(NOW)
        self.secret = secret
        answers["/.well-known/openid-configuration"] = (200, self.document())
        answers["/jwks"] = (200, public(RSA))
        answers["/token"] = (200, {"id_token": "t"})

    def document(self, **members: Any) -> dict[str, Any]:
        """Return the discovery document."""
        url = self.server.url
        return {
            "issuer": url,
            "authorization_endpoint": f"{url}/authorize?tenant=1",
            "token_endpoint": f"{url}/token",
            "jwks_uri": f"{url}/jwks",
            **members,
        }

    def discover(self, **members: Any) -> None:
        """Answer with this document from now on."""
        self.answers["/.well-known/openid-configuration"] = (200, self.document(**members))

    def client(self) -> OidcClient:
        """Return a new client."""
        return OidcClient(
            issuer=self.server.url,
            client_id="desk & co",
            client_secret=self.secret,
            redirect_uri="https://recovery.example/support/callback",
            http=HttpClient(),
            clock=self.clock,
        )

    def token(self, **header: Any) -> str:
        """Return an ID token for the client."""
        return signed({"iss": self.server.url, "aud": "desk & co"}, **header)

    def asked(self, path: str) -> list[Received]:
        """Return the requests for a path."""
        return [each for each in self.server.received if each.path == path]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Yield a provider."""
    answers: Answers = {}

    def reply(received: Received) -> tuple[int, bytes]:
        status, body = answers.get(received.path, (404, {}))
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()

    with serving(reply) as server:
        yield Provider(server, answers)


def test_the_address_keeps_the_provider_s_own_query(provider: Provider) -> None:
    """Some providers have one in their authorization endpoint."""
    url = provider.client().authorize_url("s", "n", "v" * 43)
    assert url.startswith(f"{provider.server.url}/authorize?tenant=1&response_type=code&")


@pytest.mark.parametrize(
    ("methods", "secret", "basic", "in_body"),
    [
        (None, "s:cret/", True, False),
        (["client_secret_post", "client_secret_basic"], "s:cret/", True, False),
        (["client_secret_post"], "s:cret/", False, True),
        (["none"], "", False, False),
    ],
)
def test_the_client_s_secret_goes_the_way_that_the_provider_accepts(
    provider: Provider, methods: list[str] | None, secret: str, basic: bool, in_body: bool
) -> None:
    """By HTTP Basic, in the body, or not at all."""
    provider.secret = secret
    provider.discover(token_endpoint_auth_methods_supported=methods)
    assert provider.client().exchange("c&", "v") == "t"
    (request,) = provider.asked("/token")
    header = request.headers.get("authorization")
    expected = base64.b64encode(b"desk+%26+co:s%3Acret%2F").decode()
    assert header == (f"Basic {expected}" if basic else None)
    assert (b"client_secret=s%3Acret%2F" in request.body) == in_body
    assert (b"client_id=desk+%26+co" in request.body) == (not basic)
    assert b"code=c%26&" in request.body


def test_a_refused_code_differs_from_a_failing_provider(provider: Provider) -> None:
    """4xx is final, 5xx and rubbish mean that the provider is down."""
    refusals: list[tuple[int, Any]] = [(400, {"error": "invalid_grant"}), (401, b"<"), (404, b"")]
    for status, body in refusals:
        provider.answers["/token"] = (status, body)
        with pytest.raises(SignInRefused, match=f"^{status} (invalid_grant|unknown)$"):
            provider.client().exchange("c", "v")
    failures: list[tuple[int, Any]] = [
        (200, {}),
        (200, {"id_token": 7}),
        (200, b"["),
        (500, {}),
        (302, {}),
        (200, b'{"a":"' + b"x" * 70_000 + b'"}'),
    ]
    for status, body in failures:
        provider.answers["/token"] = (status, body)
        with pytest.raises(Unavailable):
            provider.client().exchange("c", "v")


def test_an_error_of_the_provider_brings_no_text_into_the_log(provider: Provider) -> None:
    """Only words that look like the codes of RFC 6749."""
    provider.answers["/token"] = (400, {"error": "x\nERROR forged <b>"})
    with pytest.raises(SignInRefused, match=r"^400 unknown$"):
        provider.client().exchange("c", "v")


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "https://"},
        {"token_endpoint": "https://[x"},
        {"token_endpoint": "https://a\nb"},
    ],
)
def test_a_discovery_document_that_is_not_right_is_not_used(
    provider: Provider, members: dict[str, Any]
) -> None:
    """Of another issuer, or with addresses of other schemes."""
    provider.discover(**members)
    with pytest.raises(Unavailable):
        provider.client().authorize_url("s", "n", "v")


def test_a_provider_with_tls_may_not_lead_away_from_it(provider: Provider) -> None:
    """An address without TLS is accepted of a provider on this machine alone."""
    client = OidcClient(
        issuer="https://id.example",
        client_id=CLIENT,
        client_secret="",
        redirect_uri="https://recovery.example/support/callback",
        http=HttpClient(),
        clock=provider.clock,
    )
    document = {
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/a",
        "token_endpoint": "https://id.example/t",
        "jwks_uri": "https://id.example/j",
    }
    assert client._read(document) is not None
    assert client._read({**document, "token_endpoint": "http://id.example/t"}) is None


def test_discovery_and_keys_are_cached_for_their_time(provider: Provider) -> None:
    """An hour and ten minutes."""
    client = provider.client()
    for _ in range(3):
        client.verify(provider.token(), NONCE)
    assert len(provider.server.received) == 2
    provider.clock.time += 250
    client.verify(provider.token(), NONCE)
    assert len(provider.server.received) == 2


def test_a_new_key_is_fetched_once_and_an_old_one_is_refused(provider: Provider) -> None:
    """The provider changes its key: the new one is used at once, the old one no longer."""
    client = provider.client()
    client.verify(provider.token(), NONCE)
    provider.answers["/jwks"] = (200, public(EC))
    provider.clock.time += 60
    client.verify(provider.token(key=EC, alg="ES256"), NONCE)
    assert len(provider.asked("/jwks")) == 2
    with pytest.raises(UnknownKey):
        client.verify(provider.token(), NONCE)


def test_unknown_keys_lead_to_one_request_in_a_minute(provider: Provider) -> None:
    """Whoever sends tokens with invented keys does not make this service attack the provider."""
    client = provider.client()
    client.verify(provider.token(), NONCE)
    for _ in range(20):
        with pytest.raises(UnknownKey):
            client.verify(provider.token(kid="invented"), NONCE)
    assert len(provider.asked("/jwks")) == 1
    provider.clock.time += 60
    for _ in range(20):
        with pytest.raises(UnknownKey):
            client.verify(provider.token(kid="invented"), NONCE)
    assert len(provider.asked("/jwks")) == 2


def test_a_withdrawn_key_is_refused_within_ten_minutes(provider: Provider) -> None:
    """Even where no newer key has been seen."""
    client = provider.client()
    client.verify(provider.token(), NONCE)
    provider.answers["/jwks"] = (200, public(EC))
    provider.clock.time += 200
    client.verify(provider.token(), NONCE)
    provider.clock.time += 400
    with pytest.raises(UnknownKey):
        client.verify(signed({"iss": provider.server.url, "aud": "desk & co"}), NONCE)


@pytest.mark.parametrize("answer", [(500, {}), (200, {"keys": []}), (200, b"rubbish")])
def test_a_key_set_that_fails_replaces_none(provider: Provider, answer: tuple[int, Any]) -> None:
    """The cached one stays, and the failure is the provider's."""
    client = provider.client()
    client.verify(provider.token(), NONCE)
    provider.answers["/jwks"] = answer
    provider.clock.time += 60
    with pytest.raises(Unavailable):
        client.verify(provider.token(kid="invented"), NONCE)
    client.verify(provider.token(), NONCE)


def test_the_end_of_the_session_is_the_provider_s_address(provider: Provider) -> None:
    """None where it has none."""
    assert provider.client().end_session_url("https://recovery.example/support/") is None
    provider.discover(end_session_endpoint=f"{provider.server.url}/end")
    url = provider.client().end_session_url("https://recovery.example/support/")
    assert url is not None
    assert url.startswith(f"{provider.server.url}/end?client_id=desk+%26+co&post_logout_redirect")


# Roles, names, and the setting.


@pytest.mark.parametrize(
    ("claims", "claim", "roles"),
    [
        ({"roles": ["agent", "auditor", "other"]}, "roles", {Role.AGENT, Role.AUDITOR}),
        ({"roles": "supervisor, agent"}, "roles", {Role.SUPERVISOR, Role.AGENT}),
        ({"realm_access": {"roles": ["agent"]}}, "realm_access.roles", {Role.AGENT}),
        ({"https://a.example/roles": ["agent"]}, "https://a.example/roles", {Role.AGENT}),
        ({"roles": ["agents", "AGENT", ["agent"], {"agent": 1}, None]}, "roles", set()),
        ({"roles": {"agent": True}}, "roles", set()),
        ({"roles": "subagent"}, "roles", set()),
        ({"roles": True}, "roles", set()),
        ({"a": "agent"}, "a.b.c", set()),
        ({}, "roles", set()),
    ],
)
def test_roles_are_those_of_the_claim(claims: dict[str, Any], claim: str, roles: set[Role]) -> None:
    """A list or a text; anything else gives no role."""
    assert roles_of(claims, claim) == roles


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "林 晓", "sub": "s"}, "林 晓"),
        ({"name": "a\r\n\x1b[31mb", "sub": "s"}, "a [31mb"),
        ({"name": "", "preferred_username": "lin", "sub": "s"}, "lin"),
        ({"name": ["x"], "sub": "s"}, "s"),
        ({"name": "n" * 500, "sub": "s"}, "n" * 60),
        ({"name": "\ud800", "sub": "s"}, "s"),
    ],
)
def test_a_name_is_one_short_line(claims: dict[str, Any], name: str) -> None:
    """Whatever the provider sends."""
    assert display_name(claims) == name


@pytest.mark.parametrize(
    "text", ["", " ", "https://id.example/", "http://127.0.0.1:9", "http://localhost:9/x"]
)
def test_an_issuer_is_kept_as_it_is(text: str) -> None:
    """A trailing slash belongs to the name."""
    assert parsers.issuer(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "http://id.example",
        "id.example",
        "https://a@b.example",
        "ftp://127.0.0.1",
        "https://a.example?b",
    ],
)
def test_an_issuer_without_tls_is_refused(text: str) -> None:
    """Except on this machine."""
    with pytest.raises(ValueError, match="must"):
        parsers.issuer(text)
