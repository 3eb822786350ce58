"""A process that starts cold: the question for its secret fails, and the next request asks anew."""

# ruff: noqa: F811 - fixtures of other modules are imported by their names.
from __future__ import annotations

from chalicelib import runtime
from tests.conftest import Door
from tests.fault_injection.sweep import Faults, Point, faults  # noqa: F401
from tests.integration.test_secret import Manager, manager  # noqa: F401


def test_a_cold_start(manager: Manager, faults: Faults) -> None:
    """The person of the first request gets a plain word, the next one an answer."""

    def act(point: Point) -> None:
        runtime.install(None)
        with point:
            first = Door().get("/health")
        assert first.status_code == (503 if point.name else 200)
        if point.name:
            assert first.json_body["code"] == "unavailable"
        assert Door().get("/health").status_code == 200

    assert set(faults.sweep("cold start", act)) == {"GetSecretValue"}
