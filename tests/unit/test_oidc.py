"""The desk's OpenID Connect client: its requests to the provider, roles, and its setting."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.staff import Role, display_name, roles_of
from chalicelib.http_client import HttpClient
from chalicelib.security.id_tokens import UnknownKey
from chalicelib.security.oidc import OidcClient, SignInRefused
from chalicelib.settings import parsers
from tests.conftest import Clock
from tests.support.http_server import Received, Server, serving
from tests.support.id_tokens import CLIENT, EC, NONCE, NOW, RSA, public, signed

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
        ({"name": "\x00", "sub": " "}, ""),
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
