"""API Gateway's own refusals: each the very problem that the service itself would answer."""

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
def test_a_refusal_of_the_gateway_is_one_of_ours(kind: str) -> None:
    """Valid problem+json of the table of errors, with the same words, status and headers."""
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


def test_every_kind_of_refusal_that_people_meet_has_words() -> None:
    """An address that is not there, the throttle, and whatever fails between it and the function."""
    assert set(RESPONSES) >= {"MISSING_AUTHENTICATION_TOKEN", "THROTTLED", "DEFAULT_5XX"}
