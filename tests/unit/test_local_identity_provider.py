"""The identity provider of the demo's staff: what it shows, and what it refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests

from infra.local import identity_provider
from infra.local.identity_provider import CLIENT_ID, STAFF, IdentityProvider

SECRET, SITE = "client-secret", "http://127.0.0.1:8000"
CALLBACK = f"{SITE}/support/callback"
QUERY = {
    "client_id": CLIENT_ID,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid",
    "code_challenge_method": "S256",
    "code_challenge": "c",
    "state": "s",
    "nonce": "n",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider(SECRET, lambda: CALLBACK) as provider:
        yield provider


def get(provider: IdentityProvider, path: str, **query: str) -> requests.Response:
    address = f"{provider.url}{path}?{urlencode(query)}"
    return requests.get(address, allow_redirects=False, timeout=60)


def test_the_page_has_a_button_for_each_person(provider: IdentityProvider) -> None:
    """Of the demo's staff; nothing of the page is a script."""
    answer = get(provider, "/authorize", **QUERY)
    assert answer.status_code == 200
    assert answer.text.count("<a href=") == len(STAFF)
    for member in STAFF:
        assert f"{member.name}（{member.title}）" in answer.text
    assert "script" not in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": "https://a.example"}])
def test_an_unknown_application_is_not_redirected_to(
    provider: IdentityProvider, changed: dict[str, str]
) -> None:
    """The address may be anybody's."""
    answer = get(provider, "/authorize", **{**QUERY, **changed})
    assert (answer.status_code, "未知的应用" in answer.text) == (400, True)
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "changed",
    [{"response_type": "token"}, {"scope": "email"}, {"nonce": ""}, {"code_challenge": ""}],
)
def test_an_incomplete_request_is_an_error_at_the_client(
    provider: IdentityProvider, changed: dict[str, str]
) -> None:
    """With its state, and without a code."""
    answer = get(provider, "/authorize", **{**QUERY, **changed})
    assert answer.headers["Location"] == f"{CALLBACK}?error=invalid_request&state=s"


@pytest.mark.parametrize(
    "authorization", ["", "Basic a", f"Basic {base64.b64encode(b'desk:wrong').decode()}"]
)
def test_a_client_without_its_secret_gets_no_token(
    provider: IdentityProvider, authorization: str
) -> None:
    """401, whatever the code is."""
    headers = {"Authorization": authorization}
    answer = requests.post(f"{provider.url}/token", data={}, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_the_end_of_a_session_leads_back_to_the_site_alone(provider: IdentityProvider) -> None:
    """Another address gets a page; an unknown path gets a 404."""
    back = f"{SITE}/support/"
    assert get(provider, "/end", post_logout_redirect_uri=back).headers["Location"] == back
    for other in ("https://a.example/", f"{SITE}.example/", ""):
        answer = get(provider, "/end", post_logout_redirect_uri=other)
        assert (answer.status_code, "已退出" in answer.text) == (200, True)
    assert get(provider, "/nothing").status_code == 404


def test_codes_that_are_never_used_are_forgotten(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest ones first."""
    monkeypatch.setattr(identity_provider, "_REMEMBERED", 2)
    for _ in range(3):
        assert get(provider, "/authorize", **QUERY, **{"as": STAFF[0].subject}).status_code == 302
    assert len(provider._grants) == 2
