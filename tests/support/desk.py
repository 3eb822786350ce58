"""The support desk in tests: the demo identity provider, and the browsers of its staff."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from chalice.test import HTTPResponse
from joserfc.jwk import RSAKey

from infra.local.identity_provider import CLIENT_ID, IdentityProvider, new_key
from tests.conftest import MakeWorld, World, add_firm

SITE = "https://recovery.example"
SECRET = "desk-client-secret"
AGENT, SUPERVISOR, AUDITOR = "staff-lin", "staff-zhao", "staff-sun"


class Provider(Protocol):
    """An identity provider."""

    @property
    def url(self) -> str:
        """Its issuer."""


class Browser:
    """A browser of the staff: cookies, and the headers that the desk's page sends."""

    def __init__(self, world: World, provider: Provider) -> None:
        self.world = world
        self.provider = provider
        self.cookies: dict[str, str] = {}
        self.attributes: dict[str, str] = {}

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        """Send a request with the browser's cookies and keep those that the answer sets."""
        sent = {} if body is None else {"Content-Type": "application/json"}
        if method != "GET":
            sent |= {"Origin": SITE, "X-Support-Desk": "1"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        raw = b"" if body is None else json.dumps(body).encode()
        answer = self.world.http.request(
            method, path, headers={**sent, **(headers or {})}, body=raw
        )
        cookie = answer.headers.get("Set-Cookie")
        if cookie is not None:
            name, _, rest = cookie.partition("=")
            value, _, self.attributes[name] = rest.partition("; ")
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    def get(self, path: str) -> HTTPResponse:
        """Send a GET."""
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> HTTPResponse:
        """Send a POST as the desk's page does."""
        return self.request("POST", path, {} if body is None else body)

    def begin(self, query: str = "") -> dict[str, str]:
        """Begin a sign-in and return the parameters that the provider gets."""
        answer = self.get(f"/support/sign-in{query}")
        assert answer.status_code == 302, answer.body
        parts = urlsplit(answer.headers["Location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.provider.url}/authorize"
        return {name: values[-1] for name, values in parse_qs(parts.query).items()}

    def consent(self, parameters: dict[str, str], member: str) -> str:
        """Click the person at the provider and return the path to which it redirects."""
        address = f"{self.provider.url}/authorize?{urlencode({**parameters, 'as': member})}"
        answer = requests.get(address, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"].removeprefix(SITE)

    def sign_in(self, member: str, query: str = "") -> HTTPResponse:
        """Sign in as a member of the demo staff and return the answer that ends it."""
        return self.get(self.consent(self.begin(query), member))


class Desk:
    """A world with a support desk, and the browsers of its staff."""

    def __init__(self, world: World, provider: IdentityProvider) -> None:
        self.world = world
        self.provider = provider
        self._browsers: dict[str, Browser] = {}

    def browser(self) -> Browser:
        """Return a new browser in which nobody has signed in."""
        return Browser(self.world, self.provider)

    def as_(self, member: str) -> Browser:
        """Return the browser of a member of the staff, signed in."""
        if member not in self._browsers:
            browser = self.browser()
            answer = browser.sign_in(member)
            assert answer.headers["Location"] == f"{SITE}/support/", answer.headers
            self._browsers[member] = browser
        return self._browsers[member]

    @property
    def agent(self) -> Browser:
        return self.as_(AGENT)

    @property
    def supervisor(self) -> Browser:
        return self.as_(SUPERVISOR)

    @property
    def auditor(self) -> Browser:
        return self.as_(AUDITOR)


@functools.cache
def _key() -> RSAKey:
    # Making one takes as long as a whole test.
    return new_key()


@contextmanager
def desk_of(make: MakeWorld, **settings: str) -> Iterator[Desk]:
    """Yield a desk whose world `make` makes."""
    provider = IdentityProvider(SECRET, lambda: f"{SITE}/support/callback", key=_key())
    with provider:
        world = make(
            OIDC_ISSUER=provider.url,
            OIDC_CLIENT_ID=CLIENT_ID,
            OIDC_CLIENT_SECRET=SECRET,
            **settings,
        )
        provider.clock = world.clock
        add_firm(world.service.hasher)
        yield Desk(world, provider)


@pytest.fixture
def desk(make_world: MakeWorld) -> Iterator[Desk]:
    """A desk with one firm, 11010148, on moto."""
    with desk_of(make_world) as made:
        yield made
