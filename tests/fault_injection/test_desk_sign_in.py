"""Signing in to the support desk and out of it, while every outgoing call fails once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from chalice.test import HTTPResponse

from infra.local.identity_provider import CLIENT_ID, IdentityProvider
from tests.fault_injection.desk import SESSION, SETTINGS
from tests.fault_injection.driver import MakePlace, Place
from tests.fault_injection.sweep import REFUSED, Faults, Point
from tests.support.desk import AGENT, SECRET, SITE, Browser

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

ME = "/support/api/me"
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """The demo staff's identity provider."""
    with IdentityProvider(SECRET, lambda: f"{SITE}/support/callback") as provider:
        yield provider


@pytest.fixture
def place(make_place: MakePlace, provider: IdentityProvider) -> Place:
    """A place with a support desk, whose staff signs in at the provider."""
    made = make_place(
        template=False,
        **{
            **SETTINGS,
            "OIDC_ISSUER": provider.url,
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": SECRET,
        },
    )
    provider.clock = made.world.clock
    return made


def entry(answer: HTTPResponse) -> str | None:
    """Return the reason for which a sign-in has failed."""
    assert answer.status_code == 302, answer.body
    return parse_qs(urlsplit(answer.headers["Location"]).query).get("entry", [None])[0]


def signs_in(browser: Browser, point: Point, step: str) -> bool:
    """Sign in once while the point is armed, and return whether there is a session.

    Otherwise the person gets a reason, and no cookie.
    """
    point.step = step
    with point:
        begun = browser.get("/support/sign-in")
        reason = entry(begun)
        if reason is None:
            query = parse_qs(urlsplit(begun.headers["Location"]).query)
            sent = {name: values[-1] for name, values in query.items()}
            reason = entry(browser.get(browser.consent(sent, AGENT)))
    if reason is None:
        assert browser.get(ME).json_body["subject"] == AGENT
        return True
    assert reason == "unavailable"
    assert point.failed(step), "a sign-in failed without a failed call"
    assert SESSION not in browser.cookies
    return False


def test_a_sign_in_that_failed_is_repeated(
    place: Place, provider: IdentityProvider, faults: Faults
) -> None:
    """The desk says that the provider, or the service, did not answer; the next sign-in succeeds."""

    def act(point: Point) -> None:
        place.person(point)
        browser = Browser(place.world, provider)
        if not signs_in(browser, point, "sign-in"):
            assert signs_in(browser, point, "again")

    swept = faults.sweep("support desk, sign-in", act)
    assert set(swept) == {DISCOVERY, "/token", "/jwks", "UpdateItem"}


def test_a_sign_out_that_failed_is_repeated(
    place: Place, provider: IdentityProvider, faults: Faults
) -> None:
    """A repeat may find the session ended; where the provider is down, its own session stays."""

    def act(point: Point) -> None:
        person = place.person(point)
        browser = Browser(place.world, provider)
        assert browser.sign_in(AGENT).headers["Location"] == f"{SITE}/support/"
        # The provider's document is requested again.
        place.world.clock.time += 3_600
        kept = dict(browser.cookies)
        answer = person.insist("sign-out", lambda: browser.request("POST", "/support/sign-out", {}))
        if answer.status_code == 200:
            expected = f"{provider.url}/end?"
            if point.failed("sign-out", DISCOVERY):
                expected = f"{SITE}/support/"
            assert answer.json_body["location"].startswith(expected)
            assert SESSION not in browser.cookies
        else:
            assert (answer.status_code, answer.json_body["code"]) == (401, "sign-in")
            assert point.failed("sign-out", "UpdateItem")
        browser.cookies = kept
        assert browser.get(ME).status_code == 401

    swept = faults.sweep("support desk, sign-out", act)
    assert set(swept) == {"GetItem", "UpdateItem", DISCOVERY}


def test_recoveries_need_no_provider(
    place: Place, provider: IdentityProvider, faults: Faults
) -> None:
    """While it is down nobody signs in; who has signed in goes on, and so does a recovery."""
    person = place.person(Point(REFUSED, -1))
    browser = Browser(place.world, provider)
    browser.sign_in(AGENT)
    provider.fails = True
    place.world.clock.time += 3_600
    assert entry(Browser(place.world, provider).get("/support/sign-in")) == "unavailable"
    assert browser.get(f"/support/api/logins/{person.login}").status_code == 200
    token = person.begin()["token"]
    person.request_code(token, "code")
    assert person.confirm(token, "password", person.sms_codes[-1]).status_code == 200
    person.has_recovered(token, person.sms_codes[-1])
