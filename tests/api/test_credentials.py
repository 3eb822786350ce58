"""The authorization of the credential check, as API Gateway applies it."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.deploy.swagger import TemplatedSwaggerGenerator

from app import app
from tests.conftest import World


@pytest.fixture(scope="module")
def paths() -> Any:
    return TemplatedSwaggerGenerator().generate_swagger(app)["paths"]


def test_only_this_route_requires_signed_calls(paths: Any) -> None:
    """API Gateway checks IAM before it invokes the function."""
    signed = [
        (path, method)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any("sigv4" in scheme for scheme in operation.get("security", []))
    ]
    assert signed == [("/credentials/verify", "post")]


def test_it_has_no_cors(paths: Any) -> None:
    """No browser calls this route."""
    assert set(paths["/credentials/verify"]) == {"post"}


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_no_response_is_cached(world: World) -> None:
    """Neither a success nor a refusal."""
    for password in ("Opening-password-1", "x", ""):
        body = {"login": "11010148", "password": password}
        answer = world.call("POST", "/credentials/verify", body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
