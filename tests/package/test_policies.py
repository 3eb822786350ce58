"""Each function's policy against the calls that the function makes: enough, and no more.

The calls are those of the stories themselves. They are held against the policies by the rules of
IAM for `Allow` statements, since moto enforces no policy on the items of a transaction.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra.package import ROOT

STORIES = (
    "test_entering",
    "test_recovery_by_sms",
    "test_wechat",
    "test_wechat_push",
    "test_wechat_receipts",
    "test_wechat_logins",
    "test_manual_wechat",
    "test_receipts",
    "test_verifying_passwords",
    "test_yearly_reset",
)

FUNCTIONS = {
    "api": "api",
    "yearly_reset": "yearly-reset",
    "reset_accounts": "reset-accounts",
    "sms_receipts": "sms-receipts",
}

# What Lambda does in a function's name before and after it runs.
BY_LAMBDA = {
    "WriteOwnLog",
    "TakeChunks",
    "KeepEventsThatFailed",
    # Read once at the start of a process; the stories' settings are given by hand.
    "ReadSettings",
    # Vendors' gateways are proven on their own; SNS takes a phone number for a resource.
    "SendSmsWhichHasNoResourceToName",
}

VALUES = {
    "${AWS::Partition}": "aws-cn",
    "${AWS::Region}": "cn-north-1",
    "${AWS::AccountId}": "123456789012",
    "${AWS::StackName}": "stack",
    "${TablePrefix}": "recovery",
}

Grant = tuple[str, str, str]


def _grants(policy: str) -> list[Grant]:
    """Every sid, action and resource that a policy allows."""
    text = (ROOT / ".chalice" / f"policy-{policy}.json").read_text("utf-8")
    for name, value in VALUES.items():
        text = text.replace(name, value)
    grants = []
    for statement in json.loads(text)["Statement"]:
        assert statement["Effect"] == "Allow"
        resources: Any = statement["Resource"]
        for action in statement["Action"]:
            for resource in [resources] if isinstance(resources, str) else resources:
                grants.append((statement["Sid"], action, resource))
    return grants


def _allows(grants: list[Grant], action: str, resource: str) -> bool:
    return any(granted == action and fnmatchcase(resource, name) for _, granted, name in grants)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[str, str]]]:
    """What each function called in the stories."""
    path = tmp_path_factory.mktemp("calls") / "calls.json"
    ran = subprocess.run(
        [
            sys.executable,
            *("-m", "pytest", "-n0", "-q", "-p", "tests.package.recording"),
            *(f"tests/stories/{name}.py" for name in STORIES),
            # Its person acts from within the worker.
            "--deselect=tests/stories/test_yearly_reset.py::"
            "test_one_that_stands_in_the_way_keeps_nobody_else",
        ],
        cwd=ROOT,
        env={**os.environ, "CALLS": str(path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    found: dict[str, set[tuple[str, str]]] = {function: set() for function in FUNCTIONS}
    for function, action, resource in json.loads(Path(path).read_text("utf-8")):
        found[function].add((action, resource))
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does(
    calls: dict[str, set[tuple[str, str]]], function: str
) -> None:
    """No call of a story is refused by the function's own policy."""
    grants = _grants(FUNCTIONS[function])
    assert calls[function]
    refused = {call for call in calls[function] if not _allows(grants, *call)}
    assert not refused


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_nothing_else(
    calls: dict[str, set[tuple[str, str]]], function: str
) -> None:
    """Without any one of its grants a story would be refused."""
    grants = _grants(FUNCTIONS[function])
    idle = [
        grant
        for grant in grants
        if grant[0] not in BY_LAMBDA
        and all(
            _allows([other for other in grants if other != grant], *call)
            for call in calls[function]
        )
    ]
    assert not idle


def test_nothing_is_granted_on_everything() -> None:
    """A star stands only where AWS has no name to give: an SMS to a phone number."""
    for policy in FUNCTIONS.values():
        for sid, action, resource in _grants(policy):
            assert "*" not in action
            assert (resource == "*") == (sid == "SendSmsWhichHasNoResourceToName")
