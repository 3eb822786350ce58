"""Attacks 77 to 79 and 85 to 87: sessions and roles at the support desk, and its OpenID Connect."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from chalice.test import HTTPResponse
from joserfc.jwk import RSAKey

from chalicelib.domain import staff as staff_rules
from chalicelib.domain.staff import Staff
from chalicelib.handlers.http import cookies
from chalicelib.handlers.http import desk as desk_rules
from chalicelib.security import id_tokens, oidc
from chalicelib.security.oidc import OidcClient
from chalicelib.security.tokens import Signer
from chalicelib.services.desk.sign_in import SignIn
from tests.security.desk_actions import (
    LOGIN,
    ME,
    REASON,
    SESSION,
    act,
    is_refused,
    issue,
    propose,
)
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.desk import AGENT, SITE, Desk
from tests.support.id_tokens import signed

FREEZE = f"/support/api/logins/{LOGIN}/freeze"


def entry(answer: HTTPResponse) -> str | None:
    """Return the reason for which a sign-in has failed, from the address that it leads to."""
    return parse_qs(urlsplit(answer.headers["Location"]).query).get("entry", [None])[0]


# 77


@attack(
    77,
    SourceMutation(desk_rules.is_foreign, 'request.headers.get("origin") != own or '),
    SourceMutation(desk_rules.is_foreign, ' or request.headers.get(HEADER) != "1"'),
    SourceMutation(cookies.keep_staff, "strict=True", "strict=False"),
)
def test_another_page_does_nothing_at_the_desk(desk: Desk) -> None:
    """Not with the staff's cookie either, which browsers do not send from it in the first place."""
    agent = desk.agent
    assert "SameSite=Strict" in agent.attributes[SESSION]
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": f"{SITE}.evil.example"},
        {"Origin": "null"},
        {"X-Support-Desk": ""},
    ):
        for path, body in ((FREEZE, REASON), ("/support/sign-out", {})):
            answer = agent.request("POST", path, body, headers)
            assert is_refused(answer, 403, "forbidden"), headers
    assert desk.world.login_item().frozen_at is None
    assert agent.get(ME).status_code == 200


# 78


@attack(
    78,
    SourceMutation(
        Signer.verify,
        'self._signer(purpose).unsign(text.encode("ascii"))',
        'text.encode("ascii").rpartition(b".")[0]',
    ),
    SourceMutation(Signer._signer, 'f"login-recovery.{purpose}"', '"login-recovery"'),
    SourceMutation(
        cookies.staff,
        "if not has_shape(value, (str, str, list, str, int)):",
        "if value is None:",
    ),
    Together(
        SourceMutation(Signer.verify, "value if expires_at > self._clock() else None", "value"),
        SourceMutation(staff_rules.signed_in, " or staff.ends_at <= now"),
    ),
    SourceMutation(SignIn.check, "raise SignInRequired", "pass"),
)
def test_only_a_session_of_this_service_that_has_not_ended_is_one(desk: Desk) -> None:
    """Forged, of another key, purpose or shape, after signing out, or after eight hours: 401."""

    def status(session: str) -> int:
        browser = desk.browser()
        browser.cookies[SESSION] = session
        return browser.get(ME).status_code

    session = desk.agent.cookies[SESSION]
    clock = desk.world.clock
    value = [AGENT, "", ["supervisor"], "0" * 32, clock() + 60]
    of_another_key = Signer([b"k" * 32], clock).sign("desk-cookie", value, 60)
    signer = desk.world.service.signer
    own_signature = of_another_key.rpartition(".")[0] + "." + session.rpartition(".")[2]
    assert status(session) == 200
    for forged in (
        of_another_key,
        own_signature,
        signer.sign("wechat-cookie", value, 60),
        signer.sign("desk-cookie", [*value, 0], 60),
    ):
        assert status(forged) == 401
    other = desk.browser()
    other.sign_in(AGENT)
    assert desk.agent.post("/support/sign-out").status_code == 200
    assert (status(session), status(other.cookies[SESSION])) == (401, 200)
    clock.time += 28_800
    assert status(other.cookies[SESSION]) == 401


# 79

OTHER_SHAPES: tuple[Any, ...] = (
    {"agent": True, "supervisor": True},
    "no-supervisor",
    "Supervisor",
    [["supervisor"]],
    [{"name": "supervisor"}],
    {"roles": ["supervisor"]},
    "",
    None,
)


@attack(
    79,
    SourceMutation(Staff.require, "raise RoleRequired", "pass"),
    SourceMutation(
        staff_rules.roles_of, "if not isinstance(words, list):", "if isinstance(words, str | None):"
    ),
    SourceMutation(
        staff_rules.roles_of,
        're.split(r"[\\s,]+", value) if isinstance(value, str) else value',
        "value",
        (("if not isinstance(words, list):", "if words is None:"),),
    ),
    SourceMutation(SignIn.complete, "if not roles:", "if False:"),
)
def test_nobody_acts_beyond_their_role(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent approves nothing, an auditor changes nothing, and a claim of another shape is no role."""
    proposal = propose(desk.agent)
    approvals = f"/support/api/proposals/{proposal}/approve"
    for browser, method, path in (
        (desk.agent, "POST", approvals),
        (desk.auditor, "POST", approvals),
        (desk.agent, "POST", f"/support/api/logins/{LOGIN}/unfreeze"),
        (desk.agent, "GET", "/support/api/audit?format=csv"),
        (desk.auditor, "POST", FREEZE),
        (desk.auditor, "GET", f"/support/api/find?q={LOGIN}"),
    ):
        body = None if method == "GET" else REASON if "logins" in path else {}
        assert is_refused(browser.request(method, path, body), 403, "role"), path
    assert act(desk.supervisor, proposal, "reject").json_body["state"] == "rejected"
    assert desk.world.login_item().frozen_at is None
    for claim in OTHER_SHAPES:
        issue(monkeypatch, desk, roles=claim)
        browser = desk.browser()
        assert entry(browser.sign_in(AGENT)) == "role", claim
        assert SESSION not in browser.cookies


@attack(79, SourceMutation(SignIn.complete, 'is_reserved(claims["sub"])', "False"))
def test_nobody_is_recorded_under_the_name_of_another_actor(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider at which people choose their name may issue one that the audit has for others."""
    for subject in ("person", "urn:staff:person", "arn:aws-cn:iam::1:user/ops", f"staff:{AGENT}"):
        issue(monkeypatch, desk, sub=subject)
        browser = desk.browser()
        assert entry(browser.sign_in(AGENT)) == "refused", subject
        assert SESSION not in browser.cookies
    issue(monkeypatch, desk, sub="auth0|5f7c8ec7c33c6c004bbafe82")
    assert entry(desk.browser().sign_in(AGENT)) is None


# 85

NONCE = SourceMutation(
    id_tokens._check_claims,
    "not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode())",
    "False",
)
PKCE = Together(
    SourceMutation(OidcClient.authorize_url, "challenge(verifier)", 'challenge("v" * 43)'),
    SourceMutation(OidcClient.exchange, '"code_verifier": verifier', '"code_verifier": "v" * 43'),
)


class _Lasting(OrderedDict[str, Any]):
    """The grants of a provider that accepts a code more than once."""

    def pop(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)


@attack(
    85,
    SourceMutation(SignIn.complete, "or not secrets.compare_digest(", "or False and ("),
    SourceMutation(
        SignIn.complete,
        'not claim_once("desk-state", state, now, ROUND_TRIP_LIFETIME)',
        "False",
    ),
    Together(PKCE, NONCE),
)
def test_a_callback_signs_in_its_own_browser_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither another browser, nor a replay, nor a stolen code in the thief's own sign-in."""
    attacker, victim = desk.browser(), desk.browser()
    victim.begin()
    path = attacker.consent(attacker.begin(), AGENT)
    assert entry(victim.get(path)) == "expired"
    # The code was not used up by the victim's browser.
    assert entry(attacker.get(path)) is None
    assert SESSION not in victim.cookies

    monkeypatch.setattr(desk.provider, "_grants", _Lasting())
    browser = desk.browser()
    path = browser.consent(browser.begin(), AGENT)
    assert entry(browser.get(path)) is None
    del browser.cookies[SESSION]
    assert entry(browser.get(path)) == "expired"
    assert SESSION not in browser.cookies

    stolen = parse_qs(urlsplit(victim.consent(victim.begin(), AGENT)).query)["code"][0]
    thief = desk.browser()
    state = thief.begin()["state"]
    assert entry(thief.get(f"/support/callback?code={stolen}&state={state}")) == "refused"
    assert SESSION not in thief.cookies


# 86


@attack(
    86,
    SourceMutation(SignIn.begin, 'place if _PLACE.fullmatch(place) else ""', "place"),
    SourceMutation(SignIn.begin, "_PLACE.fullmatch(", "_PLACE.match("),
)
def test_the_kept_place_leads_nowhere_else(desk: Desk) -> None:
    """After the sign-in the browser is at the desk, at a place of its own or at its start."""
    for place in (
        "https://evil.example",
        "//evil.example",
        "%5C%5Cevil.example",
        "javascript:alert(1)",
        "logins@evil.example",
        "logins/11010148?next=//evil.example",
        "logins%0d%0aSet-Cookie:%20a=b",
        "..%2f..%2fevil",
    ):
        browser = desk.browser()
        path = browser.consent(browser.begin(f"?place={place}"), AGENT)
        answer = browser.request("GET", path, None, {"Host": "evil.example"})
        assert answer.headers["Location"] == f"{SITE}/support/", place
        assert SESSION in browser.cookies
    answer = desk.browser().sign_in(AGENT, "?place=logins/11010148_cw")
    assert answer.headers["Location"] == f"{SITE}/support/#logins/11010148_cw"


# 87


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """Return a token made without a library, signed by an HMAC or not at all."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    ]
    mac = b"" if secret is None else hmac.digest(secret, b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


UNVERIFIED = (
    "token, PyJWK(dict(key), algorithm), algorithms=[algorithm]",
    'token, options={"verify_signature": False}',
)


@attack(
    87,
    SourceMutation(id_tokens._check_claims, 'claims.get("iss") != issuer', "False"),
    SourceMutation(id_tokens._check_claims, "client_id not in audiences", "False"),
    SourceMutation(id_tokens._check_claims, '_time(claims, "exp") <= now - LEEWAY', "False"),
    NONCE,
    SourceMutation(id_tokens._signed_claims, *UNVERIFIED),
    SourceMutation(
        id_tokens._signed_claims,
        "algorithm not in ALGORITHMS",
        "False",
        (('key.get("alg", algorithm) != algorithm', "False"), UNVERIFIED),
    ),
    SourceMutation(OidcClient.verify, "self._key_set(_KEYS_LIFETIME)", "self._key_set(10**9)"),
)
def test_only_the_provider_s_token_for_this_sign_in_signs_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issuer, audience, time, nonce, signature, algorithm and a key that the provider still has."""
    provider, clock = desk.provider, desk.world.clock

    def refuses() -> bool:
        browser = desk.browser()
        return entry(browser.sign_in(AGENT)) == "refused" and SESSION not in browser.cookies

    assert entry(desk.browser().sign_in(AGENT)) is None
    variants: tuple[dict[str, Any], ...] = (
        {"iss": f"{provider.url}/"},
        {"aud": "another-client"},
        {"exp": clock() - 3_600},
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
    )
    for claims in variants:
        issue(monkeypatch, desk, **claims)
        assert refuses(), claims
    own, other = provider.key, RSAKey.generate_key(2048)
    issue(monkeypatch, desk, partial(signed, key=other, kid=own.kid))
    assert refuses()
    public = own.as_pem(private=False)
    for alg, secret in (("none", None), ("None", None), ("HS256", public)):
        issue(monkeypatch, desk, partial(by_hand, {"alg": alg, "kid": own.kid}, secret=secret))
        assert refuses(), alg
    # The provider withdraws its key, which may have been stolen.
    monkeypatch.setattr(provider, "key", RSAKey.generate_key(2048, auto_kid=True))
    issue(monkeypatch, desk, partial(signed, key=own))
    clock.time += oidc._KEYS_LIFETIME
    assert refuses()
