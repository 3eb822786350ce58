"""SQS to Lambda: what the event source mapping of a queue does, for the functions in `app.py`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

Function = Callable[[dict[str, Any], Any], Any]

BATCH = 10
PAUSE = 0.25
"""Seconds between two looks into an empty queue."""

WORKERS = 2


@dataclass(frozen=True)
class Wire:
    """A queue and the function that works it; `partial` where it may report single failures."""

    queue: str
    function: str
    batch: int = BATCH
    partial: bool = False


def wires(template: Mapping[str, Any], values: Mapping[str, str], app: Any) -> list[Wire]:
    """The queues that the template or the app's decorators wire to functions.

    `values` has each queue's name under `LogicalId.QueueName`; `app` is the Chalice app.
    """
    by_arn = {
        values[f"{name.removesuffix('.QueueName')}.Arn"]: label
        for name, label in values.items()
        if name.endswith(".QueueName")
    }
    found: dict[str, Wire] = {}
    for source in app.event_sources:
        queue = getattr(source, "queue", None) or getattr(source, "queue_arn", None)
        if queue is not None and hasattr(source, "queue_arn"):
            label = str(queue).rpartition(":")[2]
            function = source.handler_string.rpartition(".")[2]
            found[f"{_camel(function)}SqsEventSource"] = Wire(label, function, source.batch_size)
    for logical_id, resource in template["Resources"].items():
        events = resource.get("Properties", {}).get("Events", {})
        for name, event in events.items():
            known = found.get(name)
            properties = event.get("Properties", {})
            arn = _arn(properties.get("Queue"), values)
            if known is None and (event.get("Type") != "SQS" or arn not in by_arn):
                continue
            partial = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
            found[name] = Wire(
                by_arn.get(arn, known.queue if known else ""),
                known.function if known else _snake(logical_id),
                int(properties.get("BatchSize", known.batch if known else BATCH)),
                partial,
            )
    return list(found.values())


def _arn(value: Any, values: Mapping[str, str]) -> str:
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        path = value["Fn::GetAtt"]
        return values.get(path if isinstance(path, str) else ".".join(path), "")
    return value if isinstance(value, str) else ""


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip(
        "_"
    )


class Pump:
    """Works queues in the background, each by a few threads."""

    def __init__(
        self,
        client: Any,
        wired: Sequence[tuple[Wire, Function]],
        context: Callable[[str], Any] = lambda name: None,
        *,
        workers: int = WORKERS,
    ) -> None:
        """`client` is an SQS client; `context` makes the second argument of a function."""
        self._client = client
        self._context = context
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(wire, function), daemon=True)
            for wire, function in wired
            for _ in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take no more messages, and wait for the batches under way."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)

    def _work(self, wire: Wire, function: Function) -> None:
        url = self._client.get_queue_url(QueueName=wire.queue)["QueueUrl"]
        attributes = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        while not self._ended.is_set():
            try:
                idle = not self.once(wire, function, url, arn)
            except Exception as error:
                log.warning("queue %s: %s", wire.queue, type(error).__name__)
                idle = True
            if idle:
                self._ended.wait(PAUSE)

    def once(self, wire: Wire, function: Function, url: str, arn: str) -> int:
        """Work one batch; returns how many messages it had."""
        messages = self._client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(wire.batch, BATCH),
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return 0
        region = arn.split(":")[3]
        event = {"Records": [_record(message, arn, region) for message in messages]}
        try:
            result = function(event, self._context(wire.function))
        except Exception:
            # What is not deleted comes again after its visibility timeout, and ends in the DLQ.
            log.exception("function %s failed", wire.function)
            return len(messages)
        failed = _failed(result, wire.partial, {message["MessageId"] for message in messages})
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            self._client.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(done)
                ],
            )
        return len(messages)


def _failed(result: Any, partial: bool, all_ids: set[str]) -> set[str]:
    """The messages to keep, as Lambda reads a function's answer."""
    if not partial or not result:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in result.get("batchItemFailures") or []}
    except (AttributeError, KeyError, TypeError):
        return all_ids
    # An identifier that is none of the batch's makes Lambda take the whole batch as failed.
    return named if named <= all_ids else all_ids


def _record(message: Mapping[str, Any], arn: str, region: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: {key[0].lower() + key[1:]: value for key, value in attribute.items()}
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }
