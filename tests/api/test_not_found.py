"""Unknown addresses: a page for browsers, a problem for programs."""

from __future__ import annotations

import pytest

from tests.conftest import World

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_gets_a_page(world: World) -> None:
    """In Chinese, with the way back, and nothing of the address that was requested."""
    answer = world.call("GET", "/no-such-page", headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    text = answer.body.decode()
    assert "页面不存在" in text
    assert 'href="https://recovery.example/"' in text
    assert "no-such-page" not in text


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_a_program_gets_a_problem(world: World, accept: str) -> None:
    answer = world.call("GET", "/no-such-page", headers={"Accept": accept})
    assert (answer.status_code, answer.json_body["code"]) == (404, "not-found")
