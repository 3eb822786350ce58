"""The queue and the topic where AWS does not do all that it is asked for."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.domain.errors import Unavailable
from chalicelib.messaging.queue import DeadLetter, Queue
from chalicelib.messaging.topic import Topic

DOWN = EndpointConnectionError(endpoint_url="https://sqs.example")
LETTER = {"MessageId": "m1", "ReceiptHandle": "r1", "Body": json.dumps({"year": 2027})}


class Sqs:
    """A client of SQS with one dead letter; `change_message_visibility_batch` fails."""

    def __init__(self) -> None:
        self.received = 0

    def send_message_batch(self, **arguments: Any) -> Any:
        return {"Failed": [{"Id": arguments["Entries"][-1]["Id"], "Code": "InternalError"}]}

    def get_queue_attributes(self, **_: Any) -> Any:
        policy = {"deadLetterTargetArn": "arn:aws-cn:sqs:cn-north-1:123456789012:dead"}
        return {"Attributes": {"RedrivePolicy": json.dumps(policy)}}

    def get_queue_url(self, **arguments: Any) -> Any:
        return {"QueueUrl": f"https://sqs.example/{arguments['QueueName']}"}

    def receive_message(self, **_: Any) -> Any:
        self.received += 1
        return {"Messages": [LETTER]} if self.received == 1 else {}

    def change_message_visibility_batch(self, **_: Any) -> Any:
        raise DOWN


def test_a_batch_of_which_a_part_failed_is_unavailable() -> None:
    """The caller sends all of it again; each message may be processed twice."""
    with pytest.raises(Unavailable):
        Queue(Sqs, "https://sqs.example/reset", "reset").send([{"year": 2027}, {"year": 2028}])


def test_letters_that_are_not_released_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    """They are visible to the next reader a little later, which the log says."""
    queue = Queue(Sqs, "https://sqs.example/reset", "reset")
    assert queue.dead() == [DeadLetter("m1", {"year": 2027})]
    assert "dead letters were not released: EndpointConnectionError" in caplog.text


def test_without_a_topic_a_message_to_operators_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its subject alone; no client is made."""

    def connect() -> Any:
        raise AssertionError("there is no topic")

    with caplog.at_level(logging.WARNING):
        Topic(connect, "").notify("Yearly reset 2027: 0 failed", "text")
    assert "Yearly reset 2027: 0 failed" in caplog.text
