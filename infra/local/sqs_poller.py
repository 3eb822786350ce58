"""Poll SQS queues and call the functions in `app.py`, as event source mappings do in the cloud."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

Function = Callable[[dict[str, Any], Any], Any]

BATCH = 10
PAUSE = 0.25
"""Seconds between two polls of an empty queue."""

RETRY_SECONDS = 5
"""Delay after a message's first failure; each further failure adds as much."""

WORKERS = 2
"""Threads per queue."""


@dataclass(frozen=True)
class QueueMapping:
    """An event source mapping; `partial` where the function may report single failed messages."""

    queue: str
    function: str
    batch: int = BATCH
    partial: bool = False


def queue_mappings(
    template: Mapping[str, Any], values: Mapping[str, str], app: Any
) -> list[QueueMapping]:
    """Return the mappings declared in the template or by decorators of the Chalice app.

    `values` maps `LogicalId.QueueName` and `LogicalId.Arn` of each queue to its name and ARN.
    """
    by_arn = {
        values[f"{name.removesuffix('.QueueName')}.Arn"]: label
        for name, label in values.items()
        if name.endswith(".QueueName")
    }
    mappings: dict[str, QueueMapping] = {}
    for source in app.event_sources:
        queue = getattr(source, "queue", None) or getattr(source, "queue_arn", None)
        if queue is not None and hasattr(source, "queue_arn"):
            label = str(queue).rpartition(":")[2]
            function = source.handler_string.rpartition(".")[2]
            mappings[f"{_camel(function)}SqsEventSource"] = QueueMapping(
                label, function, source.batch_size
            )
    for logical_id, resource in template["Resources"].items():
        events = resource.get("Properties", {}).get("Events", {})
        for name, event in events.items():
            declared = mappings.get(name)
            properties = event.get("Properties", {})
            arn = _arn(properties.get("Queue"), values)
            if declared is None and (event.get("Type") != "SQS" or arn not in by_arn):
                continue
            partial = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
            mappings[name] = QueueMapping(
                by_arn.get(arn, declared.queue if declared else ""),
                declared.function if declared else _snake(logical_id),
                int(properties.get("BatchSize", declared.batch if declared else BATCH)),
                partial,
            )
    return list(mappings.values())


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


class SqsPoller:
    """Polls queues in background threads until it is closed."""

    def __init__(
        self,
        client: Any,
        mapped: Sequence[tuple[QueueMapping, Function]],
        context: Callable[[str], Any] = lambda name: None,
        *,
        workers: int = WORKERS,
    ) -> None:
        """`client` is an SQS client; `context` returns the Lambda context for a function's name."""
        self._client = client
        self._context = context
        self._ended = threading.Event()
        self._turns = threading.Condition()
        self._in_progress = 0
        self._held = False
        self._threads = [
            threading.Thread(target=self._work, args=(mapping, function), daemon=True)
            for mapping, function in mapped
            for _ in range(workers)
        ]

    def start(self) -> None:
        """Start polling."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop polling and wait up to 10 s for each batch in progress."""
        self._ended.set()
        with self._turns:
            self._turns.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Receive nothing until the block ends; batches in progress are completed before it begins.

        The queues are emptied at the end of the block.
        """
        with self._turns:
            self._held = True
            self._turns.wait_for(lambda: not self._in_progress)
        try:
            yield
            self._empty()
        finally:
            with self._turns:
                self._held = False
                self._turns.notify_all()

    def _empty(self) -> None:
        # PurgeQueue is allowed once a minute only.
        for url in self._client.list_queues().get("QueueUrls", []):
            while messages := self._client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=0
            ).get("Messages"):
                entries = [
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ]
                self._client.delete_message_batch(QueueUrl=url, Entries=entries)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._turns:
            self._turns.wait_for(lambda: not self._held or self._ended.is_set())
            self._in_progress += 1
        try:
            yield
        finally:
            with self._turns:
                self._in_progress -= 1
                self._turns.notify_all()

    def _work(self, mapping: QueueMapping, function: Function) -> None:
        url = arn = ""
        while not self._ended.is_set():
            try:
                if not arn:
                    url, arn = self._queue(mapping.queue)
                with self._turn():
                    idle = not self.once(mapping, function, url, arn)
            except Exception as error:
                log.warning("queue %s: %s", mapping.queue, type(error).__name__)
                idle = True
            if idle:
                self._ended.wait(PAUSE)

    def _queue(self, name: str) -> tuple[str, str]:
        """Return the queue's URL and ARN."""
        url = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, answer["Attributes"]["QueueArn"]

    def once(self, mapping: QueueMapping, function: Function, url: str, arn: str) -> int:
        """Process one batch and return its number of messages.

        Processed messages are deleted. Failed ones become visible again after a few seconds: Lambda
        leaves them until the queue's visibility time-out, which is minutes, and nobody at a local
        stack waits that long for a transient error.
        """
        messages = self._client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(mapping.batch, BATCH),
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return 0
        region = arn.split(":")[3]
        event = {"Records": [_record(message, arn, region) for message in messages]}
        try:
            result = function(event, self._context(mapping.function))
        except Exception:
            log.exception("function %s failed", mapping.function)
            failed = {message["MessageId"] for message in messages}
        else:
            failed = _failed(
                result, mapping.partial, {message["MessageId"] for message in messages}
            )
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
            if message["MessageId"] not in failed
        ]
        if entries:
            self._client.delete_message_batch(QueueUrl=url, Entries=entries)
        self._schedule_retries(url, [m for m in messages if m["MessageId"] in failed])
        return len(messages)

    def _schedule_retries(self, url: str, messages: Sequence[Mapping[str, Any]]) -> None:
        if not messages:
            return
        self._client.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {
                    "Id": str(number),
                    "ReceiptHandle": message["ReceiptHandle"],
                    "VisibilityTimeout": RETRY_SECONDS
                    * int(message["Attributes"]["ApproximateReceiveCount"]),
                }
                for number, message in enumerate(messages)
            ],
        )


def _failed(result: Any, partial: bool, all_ids: set[str]) -> set[str]:
    """Return the ids of the failed messages, as Lambda interprets a function's result."""
    if not partial or not result:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in result.get("batchItemFailures") or []}
    except (AttributeError, KeyError, TypeError):
        return all_ids
    # For Lambda, an identifier that is not of the batch fails the whole batch.
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
