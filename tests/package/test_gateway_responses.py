"""API Gateway's own error responses equal the service's problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.handlers.http.problems import problem

EDGE = Path(__file__).parents[2] / "infra" / "deploy" / "edge.yaml"
RESPONSES: dict[str, dict[str, Any]] = yaml.safe_load(EDGE.read_text("utf-8"))["Resources"][
    "RestAPI"
]["Properties"]["GatewayResponses"]


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_gateway_response_is_a_problem_of_the_service(kind: str) -> None:
    """Valid problem+json of the error table, with the same text, status and headers."""
    response = RESPONSES[kind]
    (content_type, template) = next(iter(response["ResponseTemplates"].items()))
    assert content_type == "application/json"
    # Nothing of the request: what a caller chose could break the JSON, or forge a member.
    assert "$" not in template
    body = json.loads(template)
    headers = response["ResponseParameters"]["Headers"]
    wait = headers.get("Retry-After")
    members = {} if wait is None else {"retry_after": int(wait.strip("'"))}
    ours = problem(body["code"], response["StatusCode"], **members)
    assert body == json.loads(ours.body)
    assert headers["Content-Type"] == f"'{ours.headers['Content-Type']}'"
    assert (wait is not None) == (response["StatusCode"] == 429)


def test_every_gateway_error_that_people_see_has_a_response() -> None:
    """Unknown addresses, the throttle, and failures between the gateway and the function."""
    assert set(RESPONSES) >= {"MISSING_AUTHENTICATION_TOKEN", "THROTTLED", "DEFAULT_5XX"}
