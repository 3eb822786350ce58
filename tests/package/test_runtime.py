"""The built zip under AWS's own runtime client, with a real event for every handler."""

from __future__ import annotations

import base64
import gzip
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests

from chalicelib import container
from chalicelib import runtime as process
from chalicelib.handlers.openapi.document import document
from chalicelib.settings import load
from chalicelib.store.models import LoginItem
from infra.deploy.tables import create_tables, load_template
from infra.local.aws import LocalAws, Resources
from tests.conftest import SETTINGS, add_firm
from tests.package import built, runtime
from tests.support.cheap_hasher import cheap_hasher
from tests.support.dynamodb_local import impossible

REGION = "cn-north-1"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the package beside the runtime client."""
    if sys.version_info[:2] != (3, 11) or platform.machine() != "x86_64":
        impossible("the package is for Python 3.11 on x86_64")
    folder = tmp_path_factory.mktemp("lambda")
    runtime.unpack(built.folder() / "deployment.zip", folder)
    return folder


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Run AWS on this machine with one firm; return the functions' environment."""
    aws = LocalAws()
    aws.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    create_tables(boto3.client("dynamodb"), "recovery")
    resources = Resources(load_template(), "recovery", REGION)
    resources.make_queues(boto3.client("sqs"))
    resources.make_topics(boto3.client("sns"))
    resources.make_secrets(boto3.client("secretsmanager"), lambda: SETTINGS)
    with process.using(container.Service(load(SETTINGS))):
        service = process.service()
        add_firm(cheap_hasher(service))
        yield {
            **resources.variables(),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
    # moto's state is the process's.
    requests.post(f"{aws.url}/moto-api/reset", timeout=10).raise_for_status()
    aws.close()


def test_the_api_answers_api_gateway(unpacked: Path, environment: dict[str, str]) -> None:
    """The page, a recovery's start, and a refusal, with settings only from the secret."""
    with runtime.running(unpacked, "app.app", environment) as api:
        page = api.invoke(runtime.api_event("GET", "/"))
        assert page["statusCode"] == 200
        assert "找回密码" in page["body"]
        started = api.invoke(
            runtime.api_event("POST", "/recovery", {"user_type": "firm", "login": "11010148"})
        )
        assert started["statusCode"] == 201, started
        assert json.loads(started["body"])["method"] == "follow"
        unknown = api.invoke(
            runtime.api_event("POST", "/recovery", {"user_type": "firm", "login": "99999999"})
        )
        assert json.loads(unknown["body"])["code"] == "account-not-found"


def test_the_description_is_served_without_its_schemas(
    unpacked: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The function serves the packaged file and imports no schema file: they are removed here."""
    schemas = unpacked / "task" / "chalicelib" / "handlers" / "openapi"
    kept = {"__init__.py", "route.py"}
    taken = [path for path in schemas.glob("*.py") if path.name not in kept]
    assert schemas / "document.py" in taken
    for path in taken:
        path.rename(tmp_path / path.name)
    try:
        with runtime.running(unpacked, "app.app", environment) as api:
            answer = api.invoke(runtime.api_event("GET", "/openapi.json"))
    finally:
        for path in taken:
            (tmp_path / path.name).rename(path)
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"]) == document()


def test_the_schedule_and_the_queue_reset_a_login(
    unpacked: Path, environment: dict[str, str]
) -> None:
    """The schedule's event plans the run, and the queue's batch reports its failed message."""
    with runtime.running(unpacked, "app.yearly_reset", environment) as planner:
        answer = planner.invoke(
            {
                "version": "0",
                "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": "123456789012",
                "time": "2025-12-31T16:00:00Z",
                "region": REGION,
                "resources": ["arn:aws-cn:events:cn-north-1:123456789012:rule/yearly"],
                "detail": {},
            }
        )
        assert answer is None
    queue = environment["RESET_QUEUE_URL"]
    messages = boto3.client("sqs").receive_message(
        QueueUrl=queue, MessageSystemAttributeNames=["All"]
    )["Messages"]
    record = {
        "messageId": messages[0]["MessageId"],
        "receiptHandle": messages[0]["ReceiptHandle"],
        "body": messages[0]["Body"],
        "attributes": messages[0]["Attributes"],
        "messageAttributes": {},
        "md5OfBody": messages[0]["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws-cn:sqs:cn-north-1:123456789012:recovery-reset",
        "awsRegion": REGION,
    }
    bad = {**record, "messageId": "bad", "body": "{}"}
    with runtime.running(unpacked, "app.reset_accounts", environment) as worker:
        answer = worker.invoke({"Records": [record, bad]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    item = LoginItem.get("11010148_cw")
    assert item.reset_year == 2026
    assert process.service().hasher.verify(item.password_hash, "010123X")


def test_the_receipts_function_accepts_cloudwatch_s_batch(
    unpacked: Path, environment: dict[str, str]
) -> None:
    """A control message of CloudWatch Logs is read and has no receipt."""
    batch = {
        "messageType": "CONTROL_MESSAGE",
        "owner": "CloudwatchLogs",
        "logGroup": "",
        "logStream": "",
        "subscriptionFilters": [],
        "logEvents": [],
    }
    data = base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()
    with runtime.running(unpacked, "app.sms_receipts", environment) as function:
        answer = function.invoke({"awslogs": {"data": data}})
    assert answer == {"receipts": 0, "found": 0}


def test_a_function_without_settings_answers_503(
    unpacked: Path, environment: dict[str, str]
) -> None:
    """The response has no traceback."""
    given = {**environment, "SECRETS_ID": "no-such-secret"}
    with runtime.running(unpacked, "app.app", given) as api:
        answer = api.invoke(runtime.api_event("GET", "/health"))
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["code"] == "unavailable"
