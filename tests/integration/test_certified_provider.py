"""The support desk's sign-in with an OpenID Certified provider that nobody of this project wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from chalice.test import HTTPResponse

from tests.browser.needs import CannotHave
from tests.conftest import MakeWorld, World, add_firm
from tests.support.certified_provider import CertifiedProvider, running
from tests.support.desk import SECRET, SITE, Browser
from tests.support.dynamodb_local import impossible

AGENT, SUPERVISOR, GUEST = "staff-lin", "staff-zhao", "staff-guest"
DESK, ME = f"{SITE}/support/", "/support/api/me"

Sign = Callable[..., World]


@pytest.fixture(scope="module")
def provider() -> Iterator[CertifiedProvider]:
    """The provider, for all tests of this module."""
    try:
        with running() as provider:
            yield provider
    except CannotHave as reason:
        impossible(str(reason))


@pytest.fixture
def make_desk(make_world: MakeWorld, provider: CertifiedProvider) -> Sign:
    """A factory of worlds with a desk whose staff signs in at the provider."""

    def make(client: str = "desk", secret: str = SECRET, **settings: str) -> World:
        world = make_world(
            OIDC_ISSUER=provider.url,
            OIDC_CLIENT_ID=client,
            OIDC_CLIENT_SECRET=secret,
            **settings,
        )
        # The provider's clock is the machine's.
        world.clock.time = int(time.time())
        add_firm(world.service.hasher)
        return world

    return make


def begin(browser: Browser) -> str:
    """Begin a sign-in and return the address at the provider."""
    answer = browser.get("/support/sign-in?place=logins/11010148")
    assert answer.status_code == 302, answer.body
    return str(answer.headers["Location"])


def sign_in(browser: Browser, session: requests.Session, person: str) -> HTTPResponse:
    """Sign in and return the answer that ends it."""
    assert isinstance(browser.provider, CertifiedProvider)
    return browser.get(browser.provider.sign_in(session, begin(browser), person))


def entry(answer: HTTPResponse) -> str | None:
    """Return the reason for which a sign-in has failed."""
    return parse_qs(urlsplit(answer.headers["Location"]).query).get("entry", [None])[0]


@pytest.mark.parametrize(
    ("client", "secret", "claim"),
    [
        ("desk", SECRET, "roles"),
        ("desk-ps256", SECRET, "realm_access.roles"),
        ("desk-eddsa", SECRET, "groups"),
        ("desk-public", "", "roles"),
    ],
)
def test_a_member_of_the_staff_signs_in_and_out(
    make_desk: Sign, provider: CertifiedProvider, client: str, secret: str, claim: str
) -> None:
    """Each signature, way of the client's secret and shape of the role claim; the act is audited."""
    world = make_desk(client, secret, OIDC_ROLE_CLAIM=claim)
    browser, session = Browser(world, provider), requests.Session()
    answer = sign_in(browser, session, AGENT)
    assert answer.headers["Location"] == f"{DESK}#logins/11010148"
    me = browser.get(ME).json_body
    assert (me["subject"], me["name"], me["roles"]) == (AGENT, "林晓", ["agent"])
    frozen = browser.post("/support/api/logins/11010148/freeze", {"reason": "来电申请"})
    assert frozen.json_body["changed"] is True
    denied = browser.post("/support/api/logins/11010148/unfreeze", {"reason": "来电申请"})
    assert denied.json_body["code"] == "role"

    kept = dict(browser.cookies)
    location = browser.post("/support/sign-out").json_body["location"]
    assert provider.sign_out(session, location) == DESK
    browser.cookies = kept
    assert browser.get(ME).status_code == 401
    # The provider's own session has ended too: another person signs in in the same browser.
    assert entry(sign_in(browser, session, SUPERVISOR)) is None
    assert browser.get(ME).json_body["roles"] == ["supervisor"]


def test_without_signing_out_the_provider_signs_in_again(
    make_desk: Sign, provider: CertifiedProvider
) -> None:
    """After eight hours of the desk's session the person types nothing."""
    browser, session = Browser(make_desk(), provider), requests.Session()
    sign_in(browser, session, AGENT)
    del browser.cookies["__Host-desk"]
    sign_in(browser, session, SUPERVISOR)
    assert browser.get(ME).json_body["subject"] == AGENT


def test_a_person_without_a_role_is_not_signed_in(
    make_desk: Sign, provider: CertifiedProvider
) -> None:
    """Being known to the provider is not enough."""
    browser = Browser(make_desk(), provider)
    assert entry(sign_in(browser, requests.Session(), GUEST)) == "role"
    assert "__Host-desk" not in browser.cookies


def test_the_provider_requires_pkce(make_desk: Sign, provider: CertifiedProvider) -> None:
    """It refuses a request without a challenge, and a code with another verifier."""
    world = make_desk()
    browser, session = Browser(world, provider), requests.Session()
    parts = urlsplit(begin(browser))
    query = [(name, values[-1]) for name, values in parse_qs(parts.query).items()]
    without = urlencode([pair for pair in query if not pair[0].startswith("code_challenge")])
    back = provider.sign_in(session, parts._replace(query=without).geturl(), AGENT)
    assert parse_qs(urlsplit(back).query)["error"] == ["invalid_request"]
    assert entry(browser.get(back)) == "refused"

    stolen = parse_qs(urlsplit(provider.sign_in(session, begin(browser), AGENT)).query)["code"][0]
    thief = Browser(world, provider)
    state = parse_qs(urlsplit(begin(thief)).query)["state"][0]
    assert entry(thief.get(f"/support/callback?code={stolen}&state={state}")) == "refused"
    assert "__Host-desk" not in thief.cookies


def test_a_wrong_secret_in_the_settings_signs_nobody_in(
    make_desk: Sign, provider: CertifiedProvider
) -> None:
    """The provider refuses the client, and the person gets a reason."""
    browser = Browser(make_desk(secret="another-secret"), provider)
    assert entry(sign_in(browser, requests.Session(), AGENT)) == "refused"
    assert "__Host-desk" not in browser.cookies
