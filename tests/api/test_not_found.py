"""Unknown addresses: a page for browsers, a problem for programs."""

from __future__ import annotations

import re

import pytest

from tests.conftest import World

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    "path", ["/no-such-page", "/no-such-page/b/c", "/support/no-such-page", "/assets/no-such-page"]
)
def test_a_browser_gets_a_page(world: World, path: str) -> None:
    """In Chinese, with the way back, and nothing of the address that was requested."""
    answer = world.call("GET", path, headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    text = answer.body.decode()
    assert "页面不存在" in text
    assert 'href="https://recovery.example/"' in text
    assert "no-such-page" not in text
    assert "010-88250337/0338" in text


@pytest.mark.parametrize(
    "path", ["/support", "/support/sign-in", "/support/callback", "/support/assets/x.js"]
)
def test_a_desk_that_is_off_has_a_page_as_well(world: World, path: str) -> None:
    """Its addresses are then unknown ones."""
    answer = world.call("GET", path, headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert "页面不存在" in answer.body.decode()


def test_the_page_has_the_style_and_the_icon_by_absolute_paths(world: World) -> None:
    """It may be at any depth."""
    answer = world.call("GET", "/a/b/c", headers={"Accept": BROWSER})
    addresses = re.findall(r'(?:href|src)="(/[^"]+)"', answer.body.decode())
    assert len(addresses) == 3
    for address in addresses:
        assert world.call("GET", address).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
@pytest.mark.parametrize("path", ["/no-such-page", "/a/b/c"])
def test_a_program_gets_a_problem(world: World, accept: str, path: str) -> None:
    answer = world.call("GET", path, headers={"Accept": accept})
    assert (answer.status_code, answer.json_body["code"]) == (404, "not-found")
