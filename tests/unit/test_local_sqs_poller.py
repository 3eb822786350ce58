"""The SQS poller of the local stack, on moto's queues."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from chalice.app import Chalice
from moto import mock_aws

from infra.local import sqs_poller
from infra.local.aws import Resources
from infra.local.sqs_poller import RETRY_SECONDS, QueueMapping, SqsPoller, queue_mappings
from tests.support.waiting import wait_until

TEMPLATE: dict[str, Any] = {
    "Parameters": {"TablePrefix": {"Type": "String", "Default": "recovery"}},
    "Resources": {
        "DeadQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Fn::Sub": "${TablePrefix}-dead"}},
        },
        "ResetQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": "${TablePrefix}-reset"},
                "VisibilityTimeout": 30,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": ["DeadQueue", "Arn"]},
                    "maxReceiveCount": 2,
                },
            },
        },
        "ResetAccounts": {
            "Properties": {
                "Events": {
                    "Batches": {
                        "Type": "SQS",
                        "Properties": {
                            "Queue": {"Fn::GetAtt": ["ResetQueue", "Arn"]},
                            "BatchSize": 4,
                            "FunctionResponseTypes": ["ReportBatchItemFailures"],
                        },
                    }
                }
            }
        },
    },
}


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", "cn-north-1")


@pytest.fixture
def resources(sqs: Any) -> Resources:
    made = Resources(TEMPLATE, "recovery", "cn-north-1")
    made.make_queues(sqs)
    return made


def no_app() -> Any:
    return SimpleNamespace(event_sources=[])


def worked(sqs: Any, resources: Resources, function: Any, *, partial: bool = True) -> int:
    """Pass one batch to the function."""
    poller = SqsPoller(sqs, [])
    mapping = QueueMapping("recovery-reset", "reset_accounts", partial=partial)
    return poller.once(
        mapping, function, resources.values["ResetQueue"], resources.values["ResetQueue.Arn"]
    )


def fill(sqs: Any, resources: Resources, count: int) -> None:
    for number in range(count):
        sqs.send_message(
            QueueUrl=resources.values["ResetQueue"],
            MessageBody=str(number),
            MessageAttributes={"kind": {"DataType": "String", "StringValue": "page"}},
        )


def left(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(value) for value in attributes.values())


def test_the_template_s_wiring_is_found(resources: Resources) -> None:
    """An SQS event in the template gives the queue, the function and whether it reports failures."""
    assert queue_mappings(TEMPLATE, resources.values, no_app()) == [
        QueueMapping("recovery-reset", "reset_accounts", 4, partial=True)
    ]


def test_chalice_s_wiring_is_found_and_the_template_adds_to_it(resources: Resources) -> None:
    """A decorated handler is found by its queue's name; the merge template adds the reporting."""
    app = Chalice(app_name="some")

    @app.on_sqs_message(queue="recovery-reset", batch_size=7, name="reset_accounts")
    def reset_accounts(event: Any) -> None: ...

    bare = {**TEMPLATE, "Resources": {}}
    assert queue_mappings(bare, resources.values, app) == [
        QueueMapping("recovery-reset", "reset_accounts", 7)
    ]
    merged: dict[str, Any] = {
        **TEMPLATE,
        "Resources": {
            "ResetAccounts": {
                "Properties": {
                    "Events": {
                        "ResetAccountsSqsEventSource": {
                            "Properties": {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
                        }
                    }
                }
            }
        },
    }
    assert queue_mappings(merged, resources.values, app) == [
        QueueMapping("recovery-reset", "reset_accounts", 7, partial=True)
    ]


def test_the_event_has_lambda_s_form(sqs: Any, resources: Resources) -> None:
    """Its records have every name that a function in Lambda reads."""
    fill(sqs, resources, 2)
    events: list[dict[str, Any]] = []
    assert worked(sqs, resources, lambda event, _: events.append(event)) == 2
    [first, second] = events[0]["Records"]
    assert {first["body"], second["body"]} == {"0", "1"}
    assert first["eventSource"] == "aws:sqs"
    assert first["eventSourceARN"] == "arn:aws-cn:sqs:cn-north-1:123456789012:recovery-reset"
    assert first["awsRegion"] == "cn-north-1"
    assert first["attributes"]["ApproximateReceiveCount"] == "1"
    assert first["messageAttributes"]["kind"]["stringValue"] == "page"
    assert first["messageId"] != second["messageId"]
    assert left(sqs, resources.values["ResetQueue"]) == 0


def test_only_successful_messages_are_deleted(sqs: Any, resources: Resources) -> None:
    """Reported failures stay in the queue."""
    fill(sqs, resources, 3)

    def function(event: dict[str, Any], _: Any) -> dict[str, Any]:
        failed = [record for record in event["Records"] if record["body"] == "1"]
        return {"batchItemFailures": [{"itemIdentifier": failed[0]["messageId"]}]}

    worked(sqs, resources, function)
    assert left(sqs, resources.values["ResetQueue"]) == 1


@pytest.mark.parametrize(
    "result",
    [
        {"batchItemFailures": [{"itemIdentifier": "nobody"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{}]},
        "rubbish",
    ],
)
def test_a_malformed_report_fails_the_batch(sqs: Any, resources: Resources, result: Any) -> None:
    """As in Lambda, every message stays."""
    fill(sqs, resources, 2)
    worked(sqs, resources, lambda event, _: result)
    assert left(sqs, resources.values["ResetQueue"]) == 2


def test_a_report_is_ignored_without_its_setting(sqs: Any, resources: Resources) -> None:
    """Lambda reads it only where the event source enables it."""
    fill(sqs, resources, 1)

    def function(event: dict[str, Any], _: Any) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}

    worked(sqs, resources, function, partial=False)
    assert left(sqs, resources.values["ResetQueue"]) == 0


def test_a_message_that_keeps_failing_becomes_a_dead_letter(
    sqs: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the number of receives of the redrive policy."""
    fill(sqs, resources, 1)
    monkeypatch.setattr(sqs_poller, "RETRY_SECONDS", 0)
    url = resources.values["ResetQueue"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(policy["RedrivePolicy"])["maxReceiveCount"] == 2

    def function(event: dict[str, Any], _: Any) -> None:
        raise RuntimeError("always")

    rounds = [worked(sqs, resources, function) for _ in range(4)]
    assert rounds == [1, 1, 0, 0]
    assert left(sqs, resources.values["DeadQueue"]) == 1


@pytest.mark.parametrize("whole", [True, False], ids=["exception", "reported failure"])
def test_a_failed_message_comes_again_within_seconds(
    sqs: Any, resources: Resources, whole: bool
) -> None:
    """Not after the queue's visibility time-out, and later after each further failure."""
    fill(sqs, resources, 1)
    timeouts: list[int] = []

    def record(params: dict[str, Any], **_: Any) -> None:
        timeouts.extend(entry["VisibilityTimeout"] for entry in params["Entries"])
        for entry in params["Entries"]:
            entry["VisibilityTimeout"] = 0

    sqs.meta.events.register("provide-client-params.sqs.ChangeMessageVisibilityBatch", record)

    def function(event: dict[str, Any], _: Any) -> dict[str, Any]:
        if whole:
            raise RuntimeError("once")
        failed = [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
        return {"batchItemFailures": failed}

    assert [worked(sqs, resources, function) for _ in range(2)] == [1, 1]
    assert timeouts == [RETRY_SECONDS, 2 * RETRY_SECONDS]
    assert max(timeouts) < 30


def test_a_running_poller_empties_the_queue_and_stops(
    serial_moto: None, sqs: Any, resources: Resources
) -> None:
    """Its threads pass a context to the function and end at close."""
    seen: list[tuple[str, str]] = []
    all_there = threading.Event()

    def function(event: dict[str, Any], context: Any) -> None:
        seen.extend((record["body"], context) for record in event["Records"])
        if len(seen) >= 12:
            all_there.set()

    mapping = QueueMapping("recovery-reset", "reset_accounts")
    poller = SqsPoller(sqs, [(mapping, function)], lambda name: f"context of {name}")
    fill(sqs, resources, 12)
    before = set(threading.enumerate())
    poller.start()
    assert set(threading.enumerate()) > before
    assert all_there.wait(60)
    poller.close()
    assert sorted(int(body) for body, _ in seen) == list(range(12))
    assert {context for _, context in seen} == {"context of reset_accounts"}
    assert set(threading.enumerate()) <= before


def test_an_error_at_the_first_poll_ends_no_thread(
    serial_moto: None, sqs: Any, resources: Resources
) -> None:
    """The queue's address is requested again where that failed."""
    processed = threading.Event()
    failures: list[str] = []

    def refuse_once(**_: Any) -> None:
        if not failures:
            failures.append("refused")
            raise ConnectionError

    sqs.meta.events.register("before-call.sqs.GetQueueUrl", refuse_once)
    fill(sqs, resources, 1)
    mapping = QueueMapping("recovery-reset", "reset_accounts")
    poller = SqsPoller(sqs, [(mapping, lambda event, _: processed.set())], workers=1)
    poller.start()
    assert processed.wait(60)
    poller.close()
    assert failures == ["refused"]


def test_a_held_poller_receives_nothing_and_ends_with_empty_queues(
    sqs: Any, resources: Resources
) -> None:
    """A batch in progress is completed first; what arrives during the hold is never processed."""
    url = resources.values["ResetQueue"]
    entered, leave = threading.Event(), threading.Event()
    processed: list[str] = []

    def function(event: dict[str, Any], _: Any) -> None:
        entered.set()
        assert leave.wait(60)
        processed.extend(record["body"] for record in event["Records"])

    poller = SqsPoller(sqs, [(QueueMapping("recovery-reset", "reset_accounts"), function)])
    poller.start()
    try:
        fill(sqs, resources, 1)
        assert entered.wait(60)
        threading.Timer(0.2, leave.set).start()
        with poller.held():
            assert processed == ["0"]
            sqs.send_message(QueueUrl=url, MessageBody="during")
        assert left(sqs, url) == 0
        sqs.send_message(QueueUrl=url, MessageBody="after")
        wait_until(lambda: "after" in processed)
    finally:
        poller.close()
    assert processed == ["0", "after"]
