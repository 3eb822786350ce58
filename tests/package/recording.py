"""A pytest plugin that writes down which AWS calls each Lambda function makes in the tests it runs.

    CALLS=file.json pytest -p tests.package.recording tests/stories/…

Calls of the test itself, which looks into the tables, are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from chalice.test import TestHTTPClient

import app as functions

ACCOUNT = "arn:aws-cn:{service}:cn-north-1:123456789012:{name}"

_TRANSACT = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}

_calls: set[tuple[str, str, str]] = set()
_running: list[str] = []


def _named(service: str, operation: str, given: dict[str, Any]) -> list[tuple[str, str]]:
    """The actions and resources that IAM asks about for a call."""
    if operation == "TransactWriteItems":
        return [
            (_TRANSACT[kind], f"table/{body['TableName']}")
            for item in given["TransactItems"]
            for kind, body in item.items()
        ]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [(operation, f"table/{table}") for table in given["RequestItems"]]
    if service == "sqs":
        name = given.get("QueueName") or str(given["QueueUrl"]).rpartition("/")[2]
        # IAM knows no action for the batch.
        return [(operation.removesuffix("Batch"), name)]
    if service == "sns":
        return [(operation, str(given.get("TopicArn", "phone")).rpartition(":")[2])]
    if service == "secretsmanager":
        return [(operation, f"secret:{given['SecretId']}-AbCdEf")]
    return [(operation, f"table/{given['TableName']}")]


def _inside(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def running(*arguments: Any, **named: Any) -> Any:
        _running.append(name)
        try:
            return run(*arguments, **named)
        finally:
            _running.pop()

    return running


def pytest_configure() -> None:
    """Wrap the functions' entrances, and every client's one way out."""
    original = botocore.client.BaseClient._make_api_call

    def recorded(self: Any, operation: str, given: dict[str, Any]) -> Any:
        if _running:
            service = self.meta.service_model.service_name
            for action, name in _named(service, operation, given):
                resource = ACCOUNT.format(service=service, name=name)
                _calls.add((_running[-1], f"{service}:{action}", resource))
        return original(self, operation, given)

    botocore.client.BaseClient._make_api_call = recorded
    TestHTTPClient.request = _inside("api", TestHTTPClient.request)  # type: ignore[method-assign]
    for name in ("yearly_reset", "reset_accounts", "sms_receipts"):
        setattr(functions, name, _inside(name, getattr(functions, name)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write the calls."""
    Path(os.environ["CALLS"]).write_text(json.dumps(sorted(_calls)), "utf-8")
