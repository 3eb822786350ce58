"""Signing in to the support desk: the round trip to the identity provider, sessions, roles, CSRF."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.security.oidc import challenge
from infra.local import identity_provider
from infra.local.identity_provider import StaffMember
from tests.conftest import World
from tests.support.desk import AGENT, AUDITOR, SITE, SUPERVISOR, Browser, Desk

ME = "/support/api/me"


def entry(location: str) -> str | None:
    """Return the reason in the address of the desk to which a failed sign-in leads."""
    parts = urlsplit(location)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{SITE}/support/"
    return parse_qs(parts.query).get("entry", [None])[0]


def test_without_an_issuer_there_is_no_desk(world: World) -> None:
    """Every address under /support is unknown, whatever cookie comes with it."""
    for method, path in (
        ("GET", "/support/sign-in"),
        ("GET", "/support/callback?code=c&state=s"),
        ("POST", "/support/sign-out"),
        ("GET", ME),
    ):
        answer = world.call(method, path, {} if method == "POST" else None)
        assert (answer.status_code, answer.json_body["code"]) == (404, "not-found"), path


@pytest.mark.parametrize(
    ("member", "roles"), [(AGENT, ["agent"]), (SUPERVISOR, ["supervisor"]), (AUDITOR, ["auditor"])]
)
def test_a_person_signs_in_with_their_role(desk: Desk, member: str, roles: list[str]) -> None:
    """Code, PKCE, state and nonce; the session is of this browser."""
    answer = desk.as_(member).get(ME)
    assert answer.status_code == 200
    assert answer.json_body == {
        "subject": member,
        "name": next(each.name for each in identity_provider.STAFF if each.subject == member),
        "roles": roles,
        "ends_at": desk.world.clock() + 28_800,
    }


def test_the_request_has_pkce_state_and_nonce(desk: Desk) -> None:
    """The redirect address is built from SITE_URL, never from Host."""
    browser = desk.browser()
    sent = browser.begin()
    assert sent["redirect_uri"] == f"{SITE}/support/callback"
    assert (sent["response_type"], sent["code_challenge_method"]) == ("code", "S256")
    assert sent["scope"].split()[0] == "openid"
    assert len({sent["state"], sent["nonce"], sent["code_challenge"]}) == 3
    assert min(len(sent[name]) for name in ("state", "nonce", "code_challenge")) >= 32
    again = desk.browser().begin()
    assert not {again["state"], again["nonce"]} & {sent["state"], sent["nonce"]}


def test_the_cookies_are_bound_to_the_host_and_hidden_from_scripts(desk: Desk) -> None:
    """The session is Strict; the round trip is Lax, since another site leads back."""
    browser = desk.browser()
    browser.sign_in(AGENT)
    session = browser.attributes["__Host-desk"]
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=28800"} == set(
        session.split("; ")
    )
    assert "SameSite=Lax" in browser.attributes["__Host-desk_sign_in"]


def test_a_session_ends_after_eight_hours(desk: Desk) -> None:
    """The answer is 401 `sign-in`."""
    agent = desk.agent
    desk.world.clock.time += 28_799
    assert agent.get(ME).status_code == 200
    desk.world.clock.time += 1
    answer = agent.get(ME)
    assert (answer.status_code, answer.json_body["code"]) == (401, "sign-in")


@pytest.mark.parametrize("value", ["", "x", "a.b", "W10.x"])
def test_a_forged_session_is_refused(desk: Desk, value: str) -> None:
    """Only this service signs sessions; a cookie of another purpose is none."""
    browser = desk.browser()
    browser.cookies["__Host-desk"] = value
    assert browser.get(ME).status_code == 401
    other = desk.world.service.signer.sign("wechat-cookie", [AGENT, "", ["agent"], "s", 9**12], 60)
    browser.cookies["__Host-desk"] = other
    assert browser.get(ME).status_code == 401


def test_a_session_is_of_no_use_after_signing_out(desk: Desk) -> None:
    """Not even a copy of the cookie; another browser of the same person stays signed in."""
    agent, other = desk.agent, desk.browser()
    other.sign_in(AGENT)
    kept = dict(agent.cookies)
    answer = agent.post("/support/sign-out")
    assert answer.status_code == 200
    location = urlsplit(answer.json_body["location"])
    assert answer.json_body["location"].startswith(f"{desk.provider.url}/end?")
    assert parse_qs(location.query)["post_logout_redirect_uri"] == [f"{SITE}/support/"]
    assert "__Host-desk" not in agent.cookies
    agent.cookies = kept
    assert agent.get(ME).status_code == 401
    assert other.get(ME).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{SITE}.evil.example"},
        {"X-Support-Desk": ""},
    ],
)
def test_a_page_of_another_origin_changes_nothing(desk: Desk, headers: dict[str, str]) -> None:
    """Origin and a header of our own are required of every POST."""
    answer = desk.agent.request("POST", "/support/sign-out", {}, headers)
    assert (answer.status_code, answer.json_body["code"]) == (403, "forbidden")
    assert desk.agent.get(ME).status_code == 200


def test_an_allowed_origin_is_no_origin_of_the_desk(desk: Desk) -> None:
    """ALLOWED_ORIGINS are for starting recoveries."""
    settings = desk.world.service.settings
    other = "https://login.example"
    desk.world.service.settings = dataclasses.replace(settings, allowed_origins=(other,))
    assert desk.agent.request("POST", "/support/sign-out", {}, {"Origin": other}).status_code == 403


def test_a_form_is_refused(desk: Desk) -> None:
    """A body must be JSON, which a page of another origin cannot send without a preflight."""
    answer = desk.agent.request(
        "POST", "/support/sign-out", {"a": "b"}, {"Content-Type": "text/plain"}
    )
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")


def test_the_place_is_kept(desk: Desk) -> None:
    """The page continues where the session ended."""
    answer = desk.browser().sign_in(AGENT, "?place=logins/11010148_cw")
    assert answer.headers["Location"] == f"{SITE}/support/#logins/11010148_cw"


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example",
        "//evil.example",
        "/%5Cevil.example",
        "a%0d%0aSet-Cookie:x",
        "javascript:alert(1)",
        "a?b",
        "../..",
        "@evil.example",
        "a" * 400,
    ],
)
def test_no_place_leads_elsewhere(desk: Desk, place: str) -> None:
    """Such a place is dropped."""
    answer = desk.browser().sign_in(AGENT, f"?place={place}")
    assert answer.headers["Location"] == f"{SITE}/support/"


def test_a_callback_is_of_the_browser_that_began(desk: Desk) -> None:
    """An attacker's callback address signs nobody in, and so does one with another state."""
    attacker, victim = desk.browser(), desk.browser()
    path = attacker.consent(attacker.begin(), AGENT)
    assert entry(victim.get(path).headers["Location"]) == "expired"
    assert "__Host-desk" not in victim.cookies
    victim.begin()
    assert entry(victim.get(path).headers["Location"]) == "expired"
    code = parse_qs(urlsplit(path).query)["code"][0]
    forged = attacker.get(f"/support/callback?code={code}&state=%E7%8A%B6")
    assert entry(forged.headers["Location"]) == "expired"


def test_a_callback_is_used_once(desk: Desk) -> None:
    """A replay leads to the desk with a reason, without a session."""
    browser = desk.browser()
    path = browser.consent(browser.begin(), AGENT)
    assert entry(browser.get(path).headers["Location"]) is None
    del browser.cookies["__Host-desk"]
    assert entry(browser.get(path).headers["Location"]) == "expired"
    assert "__Host-desk" not in browser.cookies


def test_a_round_trip_ends_after_ten_minutes(desk: Desk) -> None:
    """Its cookie is dated."""
    browser = desk.browser()
    parameters = browser.begin()
    desk.world.clock.time += 600
    path = browser.consent(parameters, AGENT)
    assert entry(browser.get(path).headers["Location"]) == "expired"


def test_a_code_of_another_sign_in_is_refused(desk: Desk) -> None:
    """A stolen code does not fit the verifier of this browser (PKCE)."""
    thief, victim = desk.browser(), desk.browser()
    stolen = parse_qs(urlsplit(victim.consent(victim.begin(), AGENT)).query)["code"][0]
    mine = thief.begin()
    answer = thief.get(f"/support/callback?code={stolen}&state={mine['state']}")
    assert entry(answer.headers["Location"]) == "refused"


def test_a_person_who_cancels_gets_a_reason(desk: Desk) -> None:
    """The provider's error has no code."""
    browser = desk.browser()
    state = browser.begin()["state"]
    answer = browser.get(f"/support/callback?error=access_denied&state={state}")
    assert entry(answer.headers["Location"]) == "refused"


@pytest.mark.parametrize("roles", [(), ("admin",), ("Agent",)])
def test_a_person_without_a_role_is_not_signed_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...]
) -> None:
    """Being known to the provider is not enough."""
    nobody = StaffMember(AGENT, "无名", roles, "")
    monkeypatch.setattr(identity_provider, "STAFF", (nobody,))
    browser = desk.browser()
    assert entry(browser.sign_in(AGENT).headers["Location"]) == "role"
    assert "__Host-desk" not in browser.cookies


def test_without_the_provider_the_desk_says_so_and_recoveries_go_on(desk: Desk) -> None:
    """Whether it is down at the start or at the end of a sign-in."""
    browser = desk.browser()
    path = browser.consent(browser.begin(), AGENT)
    desk.provider.fails = True
    assert entry(browser.get(path).headers["Location"]) == "unavailable"
    fresh = Browser(desk.world, desk.provider)
    desk.world.clock.time += 3_600
    answer = fresh.get("/support/sign-in")
    assert answer.status_code == 302
    assert entry(answer.headers["Location"]) == "unavailable"
    assert desk.world.send(desk.world.token()).status_code == 202


def test_a_session_survives_an_outage_of_the_provider(desk: Desk) -> None:
    """Only signing in needs it, and signing out works without it."""
    agent = desk.agent
    desk.provider.fails = True
    desk.world.clock.time += 3_600
    assert agent.get(ME).status_code == 200
    assert agent.post("/support/sign-out").json_body == {"location": f"{SITE}/support/"}


def test_the_challenge_is_that_of_rfc_7636() -> None:
    """Its appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
