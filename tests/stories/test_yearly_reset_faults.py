"""Every outgoing call of a yearly reset fails once, in four ways; the next start finishes the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from chalicelib import wiring
from chalicelib.domain.errors import ServiceError
from chalicelib.doors import reset as reset_door
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.stories import yearly_reset
from infra.tables import create_tables
from tests import reset_world
from tests.conftest import moto_client
from tests.reset_world import YEAR, Crash, ResetWorld, add_logins, client, interrupted

LOGINS = 3

KINDS: dict[str, tuple[Callable[[], BaseException], bool]] = {
    "refused": (lambda: EndpointConnectionError(endpoint_url="http://aws"), False),
    "answer lost": (lambda: ReadTimeoutError(endpoint_url="http://aws"), True),
    "crash before": (Crash, False),
    "crash after": (Crash, True),
}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ResetWorld]]:
    """Makes worlds of three finance logins in two chunks, each in an AWS of its own."""
    monkeypatch.setattr(yearly_reset, "CHUNK", 2)
    # Calls are counted, so that their order must be the same each time.
    monkeypatch.setattr(reset_door, "AT_ONCE", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", moto_client("dynamodb").meta.endpoint_url)
    mocks = []

    def make() -> ResetWorld:
        while mocks:
            mocks.pop().stop()
        mock = mock_aws()
        mock.start()
        mocks.append(mock)
        create_tables(moto_client("dynamodb"), "recovery")
        world = reset_world.make()
        add_logins(LOGINS)
        return world

    with wiring.using(None):
        yield make
    while mocks:
        mocks.pop().stop()


def _run(world: ResetWorld) -> None:
    """One start and the queue's work, as far as it comes."""
    try:
        world.schedule()
        world.work()
    except (ServiceError, Crash):
        return


def _sweep(world: ResetWorld, kind: str, number: int) -> str | None:
    """Run with one call failing; the call's name, or None where there are fewer calls."""
    error, after = KINDS[kind]
    count = itertools.count()
    hit: list[str] = []

    def fault(name: str) -> BaseException | None:
        if next(count) != number:
            return None
        hit.append(name)
        return error()

    topic = boto3.client("sns")
    world.story._queue._made = boto3.client("sqs")
    world.story._topic._connect = lambda: topic
    with interrupted([client(), world.story._queue._made, topic], fault, after=after):
        _run(world)
    return hit[0] if hit else None


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_start_finishes_whatever_failed(
    fresh: Callable[[], ResetWorld], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any failure and one more start each login is set once, and the report adds up."""
    swept: list[str] = []
    for number in itertools.count():
        world = fresh()
        name = _sweep(world, kind, number)
        if name is None:
            break
        swept.append(name)
        # What a worker left undone is visible again by then.
        world.sqs.purge_queue(QueueUrl=world.queue)
        world.world.clock.time += 3_600
        _run(world)
        where = f"{kind} at call {number}, {name}"
        for login in LoginItem.scan():
            expected = (2, YEAR) if login.login.endswith("_cw") else (1, None)
            assert (login.password_version, login.reset_year) == expected, where
        events = list(AuditItem.scan())
        assert len(events) == LOGINS, where
        assert world.adds_up(), where
        told = world.announcements()
        # Operators may read a message twice where the answer to it was lost, but never none.
        most = 2 if name == "Publish" and KINDS[kind][1] else 1
        most = 2 if name == "UpdateItem" and told and len(told) == 2 else most
        assert 1 <= len(told) <= most, where
    with capsys.disabled():
        print(f"\nyearly reset, {kind}: {len(swept)} points swept")
    assert {"Scan", "TransactWriteItems", "UpdateItem", "GetItem", "BatchGetItem"} <= set(swept)
    assert {"SendMessageBatch", "Publish"} <= set(swept)
