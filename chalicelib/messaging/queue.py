"""An SQS queue and its dead-letter queue. Messages are JSON objects without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable

log = logging.getLogger(__name__)

WAIT_SECONDS = 1
"""Seconds that one look at the dead letters waits for one. A look without waiting reaches some of SQS's
servers only, and may return nothing though there are letters."""

EMPTY_ANSWERS = 3
"""Consecutive answers without a new letter after which there are taken to be no more."""

_BATCH = 10

# Seconds for which a dead letter that was read is invisible, unless the reader ends earlier and
# releases it: otherwise the letters read first would come again before the last ones were seen.
_VISIBILITY_TIMEOUT = 60

Message = Mapping[str, Any]


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead-letter queue."""

    message_id: str
    """SQS's id."""
    message: Message | None
    """The content; None where it is no JSON object."""


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

    def dead(self, most: int = 100) -> list[DeadLetter]:
        """Return about `most` dead letters and leave them in their queue.

        SQS may return fewer than there are. Empty without a dead-letter queue. Raises Unavailable.
        """
        with closing(self._dead_letters(most)) as letters:
            return [letter for _, letter in letters]

    def redrive(self, accepts: Callable[[Message], bool]) -> int:
        """Move dead letters back into the queue and return their number. Raises Unavailable.

        Letters that are unreadable or that `accepts` rejects stay where they are. After a failure
        one letter may be in both queues.
        """
        dead_url = self._dead_letter_url()
        moved = 0
        with closing(self._dead_letters(None)) as letters:
            for handle, letter in letters:
                if letter.message is None or not accepts(letter.message):
                    continue
                self.send([letter.message])
                self._call("delete_message", QueueUrl=dead_url, ReceiptHandle=handle)
                moved += 1
        return moved

    def _dead_letters(self, most: int | None) -> Generator[tuple[str, DeadLetter], None, None]:
        """Yield each dead letter with its receipt handle; make all visible again at the end."""
        dead_url = self._dead_letter_url()
        handles: dict[str, str] = {}
        empty = 0
        try:
            while dead_url and empty < EMPTY_ANSWERS and (most is None or len(handles) < most):
                received = self._call(
                    "receive_message",
                    QueueUrl=dead_url,
                    MaxNumberOfMessages=_BATCH,
                    VisibilityTimeout=_VISIBILITY_TIMEOUT,
                    WaitTimeSeconds=WAIT_SECONDS,
                ).get("Messages", [])
                new = [each for each in received if each["MessageId"] not in handles]
                empty = 0 if new else empty + 1
                # The latest handle is the valid one.
                handles |= {each["MessageId"]: each["ReceiptHandle"] for each in received}
                for each in new:
                    letter = DeadLetter(each["MessageId"], _parsed(each["Body"]))
                    yield each["ReceiptHandle"], letter
        finally:
            self._release(dead_url, list(handles.values()))

    def _release(self, dead_url: str, handles: Sequence[str]) -> None:
        """Make letters visible to the next reader. Deleted ones are reported by SQS and ignored."""
        remaining = iter(handles)
        while batch := list(islice(remaining, _BATCH)):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(batch)
            ]
            try:
                self._call("change_message_visibility_batch", QueueUrl=dead_url, Entries=entries)
            except Unavailable as error:
                # They become visible by themselves a little later.
                log.warning("dead letters were not released: %s", type(error.__cause__).__name__)
                return

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


def _parsed(body: str) -> Message | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
