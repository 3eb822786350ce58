"""An SQS queue and its dead-letter queue. Messages are JSON objects without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable

_BATCH = 10

# Seconds for which a dead letter that was read is invisible to other readers.
_VISIBILITY_TIMEOUT = 2

Message = Mapping[str, Any]


class Queue:
    """One queue, looked up by its name if its URL is not set."""

    def __init__(self, connect: Callable[[], Any], url: str, name: str) -> None:
        """`connect` returns an SQS client, at the first use; `url` may be empty."""
        self._connect = connect
        self._made: Any = None
        self._url = url
        self._name = name

    def send(self, messages: Sequence[Message]) -> None:
        """Send all messages, ten in one call. Raises Unavailable; some may then have been sent."""
        remaining = iter(messages)
        while batch := list(islice(remaining, _BATCH)):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(message)}
                for number, message in enumerate(batch)
            ]
            answer = self._call("send_message_batch", QueueUrl=self._queue_url(), Entries=entries)
            if answer.get("Failed"):
                raise Unavailable("queue")

    def dead(self, most: int = 100) -> list[Message]:
        """Return about `most` dead letters and leave them in their queue.

        SQS may return fewer than there are. Empty without a dead-letter queue. Raises Unavailable.
        """
        return [message for _, message in self._dead_letters(most)]

    def redrive(self) -> int:
        """Move the dead letters back into the queue and return their number. Raises Unavailable.

        After a failure one letter may be in both queues.
        """
        dead_url = self._dead_letter_url()
        moved = 0
        for handle, message in self._dead_letters(None):
            self.send([message])
            self._call("delete_message", QueueUrl=dead_url, ReceiptHandle=handle)
            moved += 1
        return moved

    def _dead_letters(self, most: int | None) -> Iterator[tuple[str, Message]]:
        """Yield the receipt handle and the content of each dead letter."""
        dead_url = self._dead_letter_url()
        seen: set[str] = set()
        while dead_url and (most is None or len(seen) < most):
            received = self._call(
                "receive_message",
                QueueUrl=dead_url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_VISIBILITY_TIMEOUT,
            ).get("Messages", [])
            new = [message for message in received if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield message["ReceiptHandle"], json.loads(message["Body"])

    def _dead_letter_url(self) -> str:
        answer = self._call(
            "get_queue_attributes", QueueUrl=self._queue_url(), AttributeNames=["RedrivePolicy"]
        )
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        name = str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]
        return str(self._call("get_queue_url", QueueName=name)["QueueUrl"]) if name else ""

    def _queue_url(self) -> str:
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
