"""The support desk's page as it is served: where there is one, its policy, its files."""

from __future__ import annotations

import json
import re

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.catalogue import DESK_ENTRY
from chalicelib.web.support import assets as page_assets
from tests.conftest import MakeWorld
from tests.support.desk import Desk
from tests.support.page_files import Elements, declared_twice, directives, undeclared_calls


def get(desk: Desk, path: str = "/support/") -> HTTPResponse:
    """Send a GET without a session, which must succeed."""
    answer = desk.browser().get(path)
    assert answer.status_code == 200, answer.body
    return answer


def headers(answer: HTTPResponse) -> dict[str, str]:
    """Return the headers by name in lower case."""
    return {name.lower(): str(value) for name, value in answer.headers.items()}


def files(desk: Desk) -> list[str]:
    """Return the addresses of the page's own files; the icon is the recovery page's."""
    return [path for path in Elements(get(desk).body.decode()).addresses() if "/icon." not in path]


def test_without_an_identity_provider_there_is_no_page(make_world: MakeWorld) -> None:
    """404 for the document and for a file that exists."""
    world = make_world()
    name = page_assets.assets()["desk.js"].name
    for path in ("/support", "/support/", f"/support/assets/{name}"):
        answer = world.call("GET", path)
        assert answer.status_code == 404, path
        assert answer.json_body["code"] == "not-found"


def test_the_policy_allows_nothing_inline_and_no_html_from_text(desk: Desk) -> None:
    """No unsafe source, no frames, no Trusted Types policy, and no inline part."""
    answer = get(desk)
    policy = directives(headers(answer)["content-security-policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"
    assert "unsafe" not in str(policy)
    elements = Elements(answer.body.decode())
    assert elements.inline == []
    assert elements.with_code() == []


def test_the_document_is_neither_cached_nor_framed(desk: Desk) -> None:
    """The headers are those of the recovery page."""
    found = headers(get(desk))
    assert found["content-type"] == "text/html; charset=utf-8"
    assert found["cache-control"] == "no-store"
    assert found["x-content-type-options"] == "nosniff"
    assert found["x-frame-options"] == "DENY"
    assert found["referrer-policy"] == "no-referrer"
    assert found["cross-origin-opener-policy"] == "same-origin"
    assert "max-age" in found["strict-transport-security"]


@pytest.mark.parametrize("path", ["/support", "/support/"])
def test_files_are_found_with_and_without_the_final_slash(desk: Desk, path: str) -> None:
    """Their addresses are absolute, and each is cached under its hash."""
    elements = Elements(get(desk, path).body.decode())
    for address in elements.addresses():
        assert address.startswith("/"), address
        found = headers(get(desk, address))
        assert "immutable" in found["cache-control"]
        assert found["x-content-type-options"] == "nosniff"
    for address in files(desk):
        assert re.fullmatch(r"/support/assets/desk\.[0-9a-f]{12}\.(css|js)", address)


def test_the_site_s_path_precedes_every_address(make_world: MakeWorld) -> None:
    """Below a stage of API Gateway the page and its calls have the stage's path."""
    world = make_world(
        SITE_URL="https://recovery.example/api",
        OIDC_ISSUER="https://id.example",
        OIDC_CLIENT_ID="desk",
        OIDC_CLIENT_SECRET="secret-of-the-desk",
    )
    elements = Elements(world.call("GET", "/support/").body.decode())
    assert elements.body()["data-base"] == "/api/support"
    assert {address.split("/")[1] for address in elements.addresses()} == {"api"}


def test_no_file_loads_another_one(desk: Desk) -> None:
    """The modules are joined."""
    addresses = files(desk)
    assert len(addresses) == 2
    for address in addresses:
        text = get(desk, address).body.decode()
        assert not re.search(r"^\s*(import|export)\b|@import|\burl\(", text, re.MULTILINE)


def test_an_unknown_file_is_not_found(desk: Desk) -> None:
    """A problem of the service's own, never a path into its files."""
    for name in ("desk.js", "desk.000000000000.js", "..%2fassets.py", "index.html"):
        answer = desk.browser().get(f"/support/assets/{name}")
        assert answer.status_code == 404, name
        assert answer.json_body["code"] == "not-found"


@pytest.mark.parametrize("reason", DESK_ENTRY)
def test_a_failed_sign_in_is_explained(desk: Desk, reason: str) -> None:
    """By the catalogue's text."""
    assert DESK_ENTRY[reason] in get(desk, f"/support/?entry={reason}").body.decode()


def test_another_reason_is_not_shown(desk: Desk) -> None:
    """Nothing of the address is in the page."""
    answer = get(desk, "/support/?entry=%3Cscript%3Ealert(1)%3C/script%3E&q=needle")
    assert b"<script>" not in answer.body
    assert b"needle" not in answer.body
    assert answer.body == get(desk).body


def test_the_page_is_the_same_for_everybody(desk: Desk) -> None:
    """It has nothing of a person or a firm; those come from calls that check the session."""
    assert desk.agent.get("/support/").body == get(desk).body


def test_the_page_has_the_service_s_words(desk: Desk) -> None:
    """Actors, gateways, outcomes and provinces."""
    words = json.loads(Elements(get(desk).body.decode()).body()["data-words"])
    assert words["provinces"]["11"] == "北京市"
    assert words["actors"]["person"] == "本人"
    assert words["outcomes"]["sent"] == "已发送"
    assert words["gateways"]["wechat-template"] == "微信模板消息"


# Browser globals that the modules call as functions or constructors.
GLOBALS = frozenset(
    [
        "AbortController",
        "Boolean",
        "Date",
        "Map",
        "Set",
        "String",
        "URLSearchParams",
        "addEventListener",
        "clearTimeout",
        "encodeURIComponent",
        "fetch",
        "reportError",
        "scrollTo",
        "setTimeout",
    ]
)


def test_the_modules_call_only_functions_that_exist() -> None:
    """A call of an undeclared name would look like a fault of the service."""
    assert undeclared_calls(page_assets.read, page_assets.MODULES) <= GLOBALS


def test_the_modules_fit_into_one_scope() -> None:
    """Served as one script, each name is declared once and before its use."""
    assert declared_twice(page_assets.read, page_assets.MODULES) == []


def test_no_module_turns_text_into_elements() -> None:
    """Names, reasons and files' names are written by other people."""
    text = "".join(map(page_assets.read, page_assets.MODULES))
    for name in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ):
        assert name not in text, name
