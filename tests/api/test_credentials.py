"""Who may ask about passwords: the route as API Gateway gets it."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.deploy.swagger import TemplatedSwaggerGenerator

from app import app
from tests.conftest import World


@pytest.fixture(scope="module")
def paths() -> Any:
    return TemplatedSwaggerGenerator().generate_swagger(app)["paths"]


def test_the_route_is_for_signed_calls_alone(paths: Any) -> None:
    """API Gateway asks IAM before it calls the function, and no other route is set up so."""
    signed = [
        (path, method)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any("sigv4" in scheme for scheme in operation.get("security", []))
    ]
    assert signed == [("/credentials/verify", "post")]


def test_it_answers_no_other_site_s_pages(paths: Any) -> None:
    """No CORS: a browser has nothing to ask here."""
    assert set(paths["/credentials/verify"]) == {"post"}


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_answers_are_kept_nowhere(world: World) -> None:
    """Neither the right one nor a refusal."""
    for password in ("Opening-password-1", "x", ""):
        body = {"login": "11010148", "password": password}
        answer = world.call("POST", "/credentials/verify", body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
