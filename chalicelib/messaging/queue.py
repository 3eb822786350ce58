"""An SQS queue and its dead letters. Messages are JSON objects without anything secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable

_BATCH = 10

# Seconds that looking at a dead letter keeps it from others.
_LOOK = 2

Message = Mapping[str, Any]


class Queue:
    """One queue; found by its name where its address is not given."""

    def __init__(self, connect: Callable[[], Any], url: str, name: str) -> None:
        """`connect` makes an SQS client; `url` may be empty."""
        self._connect = connect
        self._made: Any = None
        self._url = url
        self._name = name

    def send(self, messages: Sequence[Message]) -> None:
        """Put all messages into the queue. Raises Unavailable; then some may be in it."""
        waiting = iter(messages)
        while batch := list(islice(waiting, _BATCH)):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(message)}
                for number, message in enumerate(batch)
            ]
            answer = self._call("send_message_batch", QueueUrl=self._address(), Entries=entries)
            if answer.get("Failed"):
                raise Unavailable("queue")

    def dead(self, most: int = 100) -> list[Message]:
        """The dead letters, as far as a look at `most` of them shows. Raises Unavailable."""
        return [message for _, message in self._dead(most)]

    def redrive(self) -> int:
        """Put the dead letters back into the queue; how many. Raises Unavailable."""
        dead = self._dead_address()
        moved = 0
        for handle, message in self._dead(None):
            self.send([message])
            self._call("delete_message", QueueUrl=dead, ReceiptHandle=handle)
            moved += 1
        return moved

    def _dead(self, most: int | None) -> Iterator[tuple[str, Message]]:
        dead = self._dead_address()
        seen: set[str] = set()
        while dead and (most is None or len(seen) < most):
            found = self._call(
                "receive_message",
                QueueUrl=dead,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_LOOK,
            ).get("Messages", [])
            new = [message for message in found if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield message["ReceiptHandle"], json.loads(message["Body"])

    def _dead_address(self) -> str:
        answer = self._call(
            "get_queue_attributes", QueueUrl=self._address(), AttributeNames=["RedrivePolicy"]
        )
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        name = str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]
        return str(self._call("get_queue_url", QueueName=name)["QueueUrl"]) if name else ""

    def _address(self) -> str:
        if not self._url:
            self._url = str(self._call("get_queue_url", QueueName=self._name)["QueueUrl"])
        return self._url

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            if self._made is None:
                self._made = self._connect()
            return getattr(self._made, operation)(**arguments)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("queue") from error
