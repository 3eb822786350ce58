"""The yearly reset as it is deployed: its two functions under Lambda's runtime client, and the queue.

DynamoDB is DynamoDB Local behind a counter of request units, SQS and SNS are moto in this process.
Three runs of different size show how the cost grows. Hashing hides the counter's own time almost
wholly, as each invocation works several chunks at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3

from chalicelib.store import models
from infra.deploy.tables import create_tables, load_template
from infra.local.aws import LocalAws, Resources
from tests.package import runtime
from tests.perf.bench import machine, ours, packaging, units
from tests.perf.bench.machine import Watch
from tests.perf.bench.units import Units
from tests.support.receipt_cases import logs, sns_line
from tests.support.yearly_reset import add_logins

REGION = "cn-north-1"
RECEIPTS = 100


@dataclass
class Run:
    """One whole run of so many finance logins."""

    logins: int
    units: Units
    plan: Watch
    work: Watch
    memory: dict[str, dict[str, float]]
    messages: int

    @property
    def billed_ms(self) -> dict[str, float]:
        """Return wall milliseconds of each function's invocations, without its start."""
        return {
            "yearly_reset": sum(map(sum, self.plan.wall.values())),
            "reset_accounts": sum(map(sum, self.work.wall.values())),
        }

    @property
    def cpu_ms(self) -> float:
        """Return the CPU of the worker function."""
        return sum(map(sum, self.work.cpu.values()))


@contextmanager
def surroundings(around: ours.Place) -> Iterator[dict[str, str]]:
    """Yield the functions' environment, with an existing queue and topic."""
    aws = LocalAws()
    aws.start()
    with ExitStack() as stack:
        stack.callback(aws.close)
        stack.enter_context(machine.environment(AWS_ENDPOINT_URL=aws.url))
        resources = Resources(load_template(), "recovery", REGION)
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        told = resources.variables()
        told.pop("SECRETS_ID", None)
        yield {**told, **around.environment, "AWS_ENDPOINT_URL": aws.url}


def run(around: ours.Place, environment: Mapping[str, str], logins: int) -> Run:
    """Plan and work a run in its own tables."""
    prefix = f"yearly{logins}"
    create_tables(boto3.client("dynamodb"), prefix)
    models.bind(prefix)
    add_logins(logins)
    folder = packaging.unpacked()
    memory = {}
    with units.counting(around.dynamodb) as counter:
        told = {
            **environment,
            "AWS_ENDPOINT_URL_DYNAMODB": counter.url,
            "TABLE_PREFIX": prefix,
        }
        with runtime.running(folder, "app.yearly_reset", told, around.cores.server) as planner:
            plan = Watch([planner.pid])
            plan("first", lambda: planner.invoke(_scheduled()))
            memory["yearly_reset"] = machine.memory_mib(planner.pid)
        with runtime.running(folder, "app.reset_accounts", told, around.cores.server) as worker:
            # An empty batch starts the function, which is not billed with the work.
            worker.invoke({"Records": []})
            work = Watch([worker.pid])
            messages = _work(worker, work, environment["RESET_QUEUE_URL"])
            memory["reset_accounts"] = machine.memory_mib(worker.pid)
        used = counter.units
    return Run(logins, used, plan, work, memory, messages)


def _scheduled() -> dict[str, Any]:
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": ["arn:aws-cn:events:cn-north-1:123456789012:rule/yearly"],
        "detail": {},
    }


def _work(worker: runtime.RuntimeApi, watch: Watch, queue: str) -> int:
    sqs = boto3.client("sqs")
    worked = 0
    while messages := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    ).get("Messages", []):
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws-cn:sqs:cn-north-1:123456789012:recovery-reset",
                "awsRegion": REGION,
            }
            for message in messages
        ]
        watch.resume()
        answer = watch("batch", lambda given=records: worker.invoke({"Records": given}, 300))  # type: ignore[misc]
        if answer["batchItemFailures"]:
            raise AssertionError(f"chunks come again: {answer}")
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        worked += len(messages)
    return worked


def receipts(around: ours.Place, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the receipts' function with a batch of logs, cold and warm."""
    with runtime.running(
        packaging.unpacked(), "app.sms_receipts", environment, around.cores.server
    ) as function:
        watch = Watch([function.pid])
        for number in range(6):
            batch = logs(*(sns_line(f"m-{number}-{one}") for one in range(RECEIPTS)))
            watch("first" if number == 0 else "batch", lambda given=batch: function.invoke(given))  # type: ignore[misc]
        return {"watch": watch, **machine.memory_mib(function.pid)}


def described(run: Run) -> dict[str, Any]:
    """Return a run's row."""
    return {
        "logins": run.logins,
        "read_units": run.units.read,
        "write_units": run.units.write,
        "dynamodb_calls": run.units.calls,
        "messages": run.messages,
        "plan_ms": round(run.billed_ms["yearly_reset"]),
        "work_ms": round(run.billed_ms["reset_accounts"]),
        "work_cpu_ms": round(run.cpu_ms),
    }
