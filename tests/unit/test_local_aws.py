"""AWS in the local stack: moto over HTTP, and the template's resources in it."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.deploy.tables import create_tables, load_template, resolve
from infra.local.aws import LocalAws, Resources, _is_long_poll, _serialized, point_at

TEMPLATE: dict[str, Any] = {
    "Parameters": {"TablePrefix": {"Default": "recovery"}, "Stage": {"Default": "local"}},
    "Resources": {
        "OpsTopic": {"Type": "AWS::SNS::Topic", "Properties": {}},
        "Settings": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": {"Fn::Sub": "${TablePrefix}/settings"}},
        },
        "WorkQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "VisibilityTimeout": 90,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": "LaterQueue.Arn"},
                    "maxReceiveCount": 3,
                },
            },
        },
        "LaterQueue": {"Type": "AWS::SQS::Queue"},
        "APIHandler": {
            "Properties": {
                "Environment": {
                    "Variables": {
                        "QUEUE_URL": {"Ref": "WorkQueue"},
                        "TOPIC": {"Ref": "OpsTopic"},
                        "STAGE": {"Fn::Sub": "${Stage} in ${AWS::Region}"},
                        "UNKNOWN": {"Fn::ImportValue": "x"},
                        "HALF": {"Fn::Sub": "${Nothing}-x"},
                    }
                }
            }
        },
        "Other": {
            "Type": "AWS::WAFv2::WebACL",
            "Properties": {"Environment": {"Variables": {"NO": "1"}}},
        },
    },
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    aws = LocalAws()
    aws.start()
    yield aws
    aws.close()


def client(aws: LocalAws, name: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        name,
        "cn-north-1",
        endpoint_url=aws.url,
        config=Config(proxies={}, retries={"total_max_attempts": 1}, max_pool_connections=20),
    )


def test_the_template_s_tables_are_made_with_their_ttl(aws: LocalAws) -> None:
    """Every declared table exists, a second start changes nothing, and expired items disappear."""
    dynamodb = client(aws, "dynamodb")
    names = create_tables(dynamodb, "some")
    assert sorted(names) == [
        f"some-{kind}"
        for kind in ("audit", "desk", "ephemera", "firms", "followers", "logins", "runs")
    ]
    assert create_tables(dynamodb, "some") == names
    assert set(names) <= set(dynamodb.list_tables()["TableNames"])
    ttl = dynamodb.describe_time_to_live(TableName="some-ephemera")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    keys = dynamodb.describe_table(TableName="some-audit")["Table"]["KeySchema"]
    assert [key["AttributeName"] for key in keys] == ["login", "at"]


def test_concurrent_conditional_writes_are_atomic(aws: LocalAws) -> None:
    """A budget of five is spent exactly five times."""
    dynamodb = client(aws, "dynamodb")
    create_tables(dynamodb, "atomic")
    table = "atomic-ephemera"
    dynamodb.put_item(TableName=table, Item={"id": {"S": "c"}, "spent": {"N": "0"}})
    outcomes: list[bool] = []
    start = threading.Barrier(20)

    def spend() -> None:
        start.wait()
        try:
            dynamodb.update_item(
                TableName=table,
                Key={"id": {"S": "c"}},
                UpdateExpression="ADD spent :one",
                ConditionExpression="spent < :five",
                ExpressionAttributeValues={":one": {"N": "1"}, ":five": {"N": "5"}},
            )
        except ClientError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    threads = [threading.Thread(target=spend) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 5
    assert len(outcomes) == 20
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": "c"}})["Item"]
    assert item["spent"] == {"N": "5"}


def test_queues_topics_and_secrets_are_made(aws: LocalAws) -> None:
    """They have their names and redrive policies, in any order; the secret holds the settings."""
    resources = Resources(TEMPLATE, "some", "cn-north-1")
    sqs = client(aws, "sqs")
    resources.make_queues(sqs)
    resources.make_topics(client(aws, "sns"))
    secrets = client(aws, "secretsmanager")
    assert resources.make_secrets(secrets, lambda: {**resources.variables(), "X": "1"}) == [
        "some/settings"
    ]
    attributes = sqs.get_queue_attributes(
        QueueUrl=resources.values["WorkQueue"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "90"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": resources.values["LaterQueue.Arn"],
        "maxReceiveCount": 3,
    }
    arn = "arn:aws-cn:sns:cn-north-1:123456789012:some-OpsTopic"
    expected = {
        "QUEUE_URL": resources.values["WorkQueue"],
        "TOPIC": arn,
        "STAGE": "local in cn-north-1",
    }
    assert resources.variables() == expected
    kept = json.loads(secrets.get_secret_value(SecretId="some/settings")["SecretString"])
    assert kept == {**expected, "X": "1"}


def test_the_project_s_template_can_be_made(aws: LocalAws) -> None:
    """The stack makes every resource of a type that it supports."""
    resources = Resources(load_template(), "whole", "cn-north-1")
    resources.make_tables(client(aws, "dynamodb"))
    resources.make_queues(client(aws, "sqs"))
    resources.make_topics(client(aws, "sns"))
    resources.make_secrets(client(aws, "secretsmanager"), dict)
    assert resources.values["LoginsTable"] == "whole-logins"


def test_known_references_are_resolved() -> None:
    """Known names are inserted at every depth; all else stays as it is."""
    values = {"A": "1", "B.Arn": "arn", "AWS::Region": "r"}
    given = [
        {"Ref": "A"},
        {"x": {"Fn::GetAtt": ["B", "Arn"]}, "y": {"Fn::GetAtt": "B.Arn"}},
        {"Fn::Sub": "${A}/${B.Arn}/${AWS::Region}/${C}"},
        {"Ref": "C"},
        {"Fn::If": ["Cond", {"Ref": "A"}, 7]},
    ]
    assert resolve(given, values) == [
        "1",
        {"x": "arn", "y": "arn"},
        "1/arn/r/${C}",
        {"Ref": "C"},
        {"Fn::If": ["Cond", "1", 7]},
    ]


def test_all_clients_of_the_process_use_the_local_aws() -> None:
    """Profiles, configured endpoints and proxies are overridden; given keys are kept."""
    environ = {
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_SQS": "https://sqs.example",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-west-2",
        "NO_PROXY": "a.example",
    }
    point_at(environ, "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environ["AWS_ENDPOINT_URL_DYNAMODB"] == "http://127.0.0.1:2"
    assert environ["AWS_DEFAULT_REGION"] == "us-west-2"
    assert environ["AWS_ACCESS_KEY_ID"] == "mine"
    assert environ["NO_PROXY"] == environ["no_proxy"] == "a.example,127.0.0.1,localhost"
    assert {
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    }.isdisjoint(environ)
    assert Path(environ["AWS_CONFIG_FILE"]) == Path(os.devnull)
    bare: dict[str, str] = {"AWS_SESSION_TOKEN": "old"}
    point_at(bare, "http://127.0.0.1:1")
    assert bare["AWS_ACCESS_KEY_ID"] == bare["AWS_SECRET_ACCESS_KEY"] == "testing"
    assert "AWS_SESSION_TOKEN" not in bare
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in bare


def _receive(application: Any, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    environ = {
        "HTTP_X_AMZ_TARGET": "AmazonSQS.ReceiveMessage",
        "CONTENT_LENGTH": str(len(raw)),
        "wsgi.input": io.BytesIO(raw),
    }
    application(environ, lambda *_: None)


def _at_once(application: Any, body: dict[str, Any]) -> None:
    threads = [threading.Thread(target=_receive, args=(application, body)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_receiving_messages_is_serialized_unless_it_waits_for_one() -> None:
    """Two threads must not change moto's queues at once; a waiting one must not stop the others."""
    busy = threading.Lock()
    bodies: list[bytes] = []

    def alone(environ: dict[str, Any], _: Any) -> list[bytes]:
        assert busy.acquire(blocking=False)
        bodies.append(environ["wsgi.input"].read())
        time.sleep(0.05)
        busy.release()
        return []

    body = {"QueueUrl": "http://queue", "WaitTimeSeconds": 0}
    _at_once(_serialized(alone), body)
    # A failed assertion in a thread leaves its body out.
    assert [json.loads(raw) for raw in bodies] == [body, body]

    together = threading.Barrier(2, timeout=20)
    passed: list[int] = []

    def both(environ: dict[str, Any], _: Any) -> list[bytes]:
        passed.append(together.wait())
        return []

    _at_once(_serialized(both), {**body, "WaitTimeSeconds": 20})
    assert sorted(passed) == [0, 1]


@pytest.mark.parametrize("body", [b"x", b"[]", b""])
def test_a_malformed_receive_is_no_long_poll(body: bytes) -> None:
    """It is answered one after the other like every call, and the body can be read again."""
    environ: dict[str, Any] = {
        "HTTP_X_AMZ_TARGET": "AmazonSQS.ReceiveMessage",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    assert not _is_long_poll(environ)
    assert environ["wsgi.input"].read() == body
