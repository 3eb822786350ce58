"""Events and requests that no browser sends, and what of them is in the log."""

from __future__ import annotations

from typing import Any

import pytest

from app import app
from tests.conftest import World
from tests.support.log_capture import Watched

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def not_base64(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose requests are marked as base64 and have a body that is not."""
    converter = world.http._local_gateway.event_converter
    create = converter.create_lambda_event

    def create_marked(*args: Any, **kwargs: Any) -> Any:
        return {**create(*args, **kwargs), "isBase64Encoded": True, "body": "a"}

    monkeypatch.setattr(converter, "create_lambda_event", create_marked)
    return world


def test_an_event_that_is_no_request_is_an_error(world: World) -> None:
    """Of another version of API Gateway's events, for example; the function itself does not fail."""
    answer = app({"version": "2.0", "requestContext": {}}, None)
    assert answer["statusCode"] == 500


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/freeze", FORM, 410, "freeze-link-invalid"),
        ("/recovery", {"Content-Type": "application/json"}, 422, "invalid-input"),
    ],
)
def test_a_body_that_is_not_base64_is_refused(
    not_base64: World, watched: Watched, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """As every other malformed body, and without an exception in the log."""
    answer = not_base64.call("POST", path, b"x", headers=headers)
    assert (answer.status_code, answer.json_body["code"]) == (status, code)
    assert not [line for line in watched.lines if line["level"] == "ERROR"]


def test_a_failure_with_a_body_that_is_not_base64_is_logged(
    not_base64: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body has then no word that could be hidden."""

    def fail(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(not_base64.service.proofs, "challenge", fail)
    assert not_base64.call("GET", "/proof").status_code == 503
    assert "RuntimeError: canary" in watched.text


def test_a_code_is_requested_without_a_body(world: World) -> None:
    """`POST /recovery/code` accepts no body as well as an empty object."""
    sent = world.http.post("/recovery/code", headers={"Authorization": f"Bearer {world.token()}"})
    assert sent.status_code == 202


def test_the_log_shows_the_login_and_no_other_value_of_a_request(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators search for the login; a header with short words is hidden as a whole."""
    cookie, secret = "a=b; c=canary-of-a-cookie", "canary-of-a-query"

    def fail(*_: object) -> None:
        raise RuntimeError(f"11010148 {secret} {cookie}")

    monkeypatch.setattr(world.service.proofs, "challenge", fail)
    answer = world.call("GET", f"/proof?login=11010148&x={secret}", headers={"Cookie": cookie})
    assert answer.status_code == 503
    assert "RuntimeError: 11010148 ***" in watched.text
    for hidden in ("canary", "a=b"):
        assert hidden not in watched.text
