"""A yearly reset's surroundings: its queue, its topic with a reader, and finance logins in number."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto import mock_aws

from app import reset_accounts, yearly_reset
from chalicelib import container, runtime
from chalicelib.domain.passwords import area_codes
from chalicelib.messaging import queue
from chalicelib.services.yearly_reset import YearlyReset
from chalicelib.settings import load
from chalicelib.store.models import LoginItem
from infra.deploy.tables import load_template
from infra.local.aws import Resources
from tests.conftest import SETTINGS, Clock, Phones, World, add_firm, moto_client
from tests.support import moto_tables
from tests.support.api_client import ApiClient
from tests.support.cheap_hasher import cheap_hasher
from tests.support.dynamodb_local import create_tables_without_ttl

YEAR = 2027
# 00:00:05 on 1 January 2027 in Beijing, and the schedule's own word for it.
MIDNIGHT = 1_798_732_805
SCHEDULED = "2026-12-31T16:00:00Z"

REGION = "cn-north-1"


class Crash(BaseException):
    """The end of a process: nothing of ours may catch it."""


@dataclass
class Context:
    """A Lambda context with so much time left."""

    left: int = 120_000
    aws_request_id: str = "request-1"
    function_name: str = "yearly_reset"

    def get_remaining_time_in_millis(self) -> int:
        return self.left


@dataclass
class ResetWorld:
    """A world with the reset's queue and topic; `work` does what Lambda does with the queue."""

    world: World
    queue: str
    dead: str
    told: str
    sqs: Any = field(default_factory=lambda: moto_client("sqs"))

    @property
    def story(self) -> YearlyReset:
        return self.world.service.yearly_reset

    def schedule(self, time: str = SCHEDULED, context: Context | None = None) -> None:
        """The schedule's event arrives."""
        event = {
            "version": "0",
            "id": "e-1",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": time,
            "region": REGION,
            "resources": [],
            "detail": {},
        }
        yearly_reset(event, context or Context())

    def receive(self, most: int = 10) -> list[dict[str, Any]]:
        """Messages, as they would come in a batch."""
        return list(
            self.sqs.receive_message(
                QueueUrl=self.queue,
                MaxNumberOfMessages=most,
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
        )

    @staticmethod
    def invoke(messages: list[dict[str, Any]], receives: int | None = None) -> set[str]:
        """Call the worker; the ids of the messages that are to come again."""
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {
                    "ApproximateReceiveCount": str(
                        receives or message["Attributes"]["ApproximateReceiveCount"]
                    )
                },
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws-cn:sqs:{REGION}:123456789012:recovery-reset",
                "awsRegion": REGION,
            }
            for message in messages
        ]
        answer = reset_accounts({"Records": records}, Context())
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def delete(self, messages: list[dict[str, Any]], keep: set[str]) -> None:
        """What Lambda does with the messages that were worked; the others come again at once."""
        for message in messages:
            handle = message["ReceiptHandle"]
            if message["MessageId"] in keep:
                self.sqs.change_message_visibility(
                    QueueUrl=self.queue, ReceiptHandle=handle, VisibilityTimeout=0
                )
            else:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=handle)

    def work(self, at_once: int = 10) -> int:
        """Work the queue until it is empty, in batches; how many messages there were."""
        worked = 0
        while messages := self.receive(at_once):
            self.delete(messages, self.invoke(messages))
            worked += len(messages)
        return worked

    def announcements(self) -> list[str]:
        """What operators were told, each once read."""
        texts: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=self.told, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                texts.append(json.loads(message["Body"])["Message"])
                self.sqs.delete_message(QueueUrl=self.told, ReceiptHandle=message["ReceiptHandle"])
        return texts

    def adds_up(self) -> bool:
        """Whether the run's counts agree with one another and with its chunks."""
        run = self.story.status(YEAR)
        assert run is not None
        notes = list(self.story.notes(YEAR))
        return (
            run.complete
            and run.done + run.skipped + run.failed == run.logins
            and len(notes) == run.skipped + run.failed
            and len({note.login for note in notes}) == len(notes)
        )


def make(prefix: str = "recovery", **more: str) -> ResetWorld:
    """The world of this moment's AWS: queue, topic, and a service that knows them; `more` settings."""
    sqs, sns = moto_client("sqs"), moto_client("sns")
    resources = Resources(load_template(), prefix, REGION)
    resources.make_queues(sqs)
    resources.make_topics(sns)
    topic = resources.values["OpsTopic"]
    told = sqs.create_queue(QueueName=f"{prefix}-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=told, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    clock, phones = Clock(MIDNIGHT), Phones()
    settings = {
        "RESET_QUEUE_URL": resources.values["ResetQueue"],
        "OPS_TOPIC_ARN": topic,
        "TABLE_PREFIX": prefix,
        **more,
    }
    service = container.Service(
        load({**SETTINGS, **settings}),
        clock=clock,
        gateways={"console": phones},
        # The clock stands, so that waiting changes nothing.
        pause=lambda _: None,
    )
    service.hasher = cheap_hasher(service)
    runtime.install(service)
    return ResetWorld(
        World(service, clock, phones, ApiClient()),
        resources.values["ResetQueue"],
        resources.values["ResetDeadLetters"],
        told,
    )


@pytest.fixture
def yearly(serial_moto: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResetWorld]:
    """A world of a new AWS, without a firm, five seconds into 2027 in Beijing."""
    # Moto's queue is one server, which needs no long poll.
    monkeypatch.setattr(queue, "WAIT_SECONDS", 0)
    with mock_aws():
        moto_tables.create(moto_client("dynamodb"), "recovery")
        with runtime.using(None):
            yield make()


@pytest.fixture
def real_yearly(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResetWorld]:
    """The same on DynamoDB Local, fit for several threads; its queue and topic are moto's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    monkeypatch.setattr(queue, "WAIT_SECONDS", 0)
    prefix = f"t{uuid.uuid4().hex[:8]}"
    create_tables_without_ttl(dynamodb_local, prefix)
    # DynamoDB Local keeps tables by access key, so that moto must not put its own in.
    with mock_aws(config={"core": {"mock_credentials": False}}), runtime.using(None):
        yield make(prefix)


@pytest.fixture
def reset(yearly: ResetWorld) -> ResetWorld:
    """The same with one firm, whose run has not begun."""
    add_firm(yearly.world.service.hasher)
    return yearly


def client() -> Any:
    """The one DynamoDB client of the service."""
    return LoginItem._get_connection().connection.client


@contextmanager
def interrupted(
    clients: Sequence[Any], fault: Callable[[str], BaseException | None], *, after: bool
) -> Iterator[None]:
    """Ask `fault` at each call, before it is sent or after it took effect, and raise what it gives."""
    event = "after-call" if after else "before-call"

    def handler(model: Any, **_: Any) -> None:
        if (error := fault(model.name)) is not None:
            raise error

    for one in clients:
        one.meta.events.register(event, handler)
    try:
        yield
    finally:
        for one in clients:
            one.meta.events.unregister(event, handler)


def add_logins(count: int, *, first: int = 21000000) -> None:
    """So many firms with their two logins, straight into the tables; every province in turn."""
    provinces = sorted(area_codes())
    with LoginItem.batch_write() as batch:
        for number in range(first, first + count):
            for login in (f"{number}", f"{number}_cw"):
                batch.save(
                    LoginItem(
                        login,
                        firm_no=f"{number}",
                        province=provinces[number % len(provinces)],
                        head_id_last4=f"{number % 10_000:04d}",
                        password_hash="old",
                        password_version=1,
                        changed_at=1_700_000_000,
                        starts_by={},
                    )
                )
