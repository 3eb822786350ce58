"""A cold start: the request for the secret fails, and the next HTTP request repeats it."""

from __future__ import annotations

from chalicelib import runtime
from tests.fault_injection.sweep import Faults, Point
from tests.support.api_client import ApiClient
from tests.support.secrets_manager import SecretsManager


def test_a_cold_start(secrets_manager: SecretsManager, faults: Faults) -> None:
    """The first HTTP request is answered with `unavailable`, the next one succeeds."""

    def act(point: Point) -> None:
        runtime.install(None)
        with point:
            first = ApiClient().get("/health")
        assert first.status_code == (503 if point.name else 200)
        if point.name:
            assert first.json_body["code"] == "unavailable"
        assert ApiClient().get("/health").status_code == 200

    assert set(faults.sweep("cold start", act)) == {"GetSecretValue"}
