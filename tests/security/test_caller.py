"""Password verification without an IAM identity: attack 72."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.handlers import credentials
from chalicelib.handlers.http import payloads
from tests.conftest import World
from tests.security.actions import CountingHasher
from tests.security.mutation import SourceMutation, attack
from tests.support.api_client import IDENTITY

RIGHT = {"login": "11010148", "password": "Opening-password-1"}

IDENTITIES: list[dict[str, Any]] = [
    {"userArn": None, "accessKey": None},
    {"userArn": ""},
    {"userArn": []},
    {"userArn": True},
    {"accessKey": IDENTITY["accessKey"]},
]


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
@attack(
    72,
    SourceMutation(
        credentials.verify, "payloads.caller(blueprint.current_request) is None", "False"
    ),
    SourceMutation(payloads.caller, "isinstance(arn, str) and arn", "True"),
)
def test_nobody_without_an_iam_identity_verifies_passwords(world: World) -> None:
    """An API deployed without its authorizer refuses right passwords too, and compares nothing."""
    hasher = CountingHasher(world)
    forged = {
        "X-Amz-User-Arn": IDENTITY["userArn"],
        "Authorization": "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20270115/cn-north-1",
    }
    for identity in IDENTITIES:
        world.http.identity = identity
        for password in ("Opening-password-1", "wrong"):
            body = {**RIGHT, "password": password, "userArn": IDENTITY["userArn"]}
            for asked in (body, {**RIGHT, "password": password}):
                answer = world.call("POST", "/credentials/verify", asked, headers=forged)
                assert (answer.status_code, answer.json_body["code"]) == (403, "forbidden")
                assert "valid" not in answer.json_body
    assert hasher.computations == 0
    assert not world.login_item().failures
    world.http.identity = {**IDENTITY}
    assert world.call("POST", "/credentials/verify", RIGHT).json_body["valid"] is True
