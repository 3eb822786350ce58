"""A yearly reset, of which every outgoing call fails once or ends the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from chalicelib import container
from chalicelib.domain.errors import ServiceError
from chalicelib.handlers import yearly_reset as reset_handler
from chalicelib.services import yearly_reset
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import moto_client
from tests.fault_injection.driver import stored, tables
from tests.fault_injection.sweep import LOST, REFUSED, REPEATED, Faults, Kind, Point
from tests.support.yearly_reset import MIDNIGHT, REGION, YEAR, Crash, ResetWorld, add_logins

LOGINS = 3
KINDS = (
    REFUSED,
    LOST,
    REPEATED,
    Kind("crash before", False, Crash),
    Kind("crash after", True, Crash),
)


@pytest.fixture
def world(yearly: ResetWorld, monkeypatch: pytest.MonkeyPatch) -> ResetWorld:
    """A world with chunks of two logins."""
    monkeypatch.setattr(yearly_reset, "CHUNK", 2)
    # Calls are numbered, so that their order must be the same in each run.
    monkeypatch.setattr(reset_handler, "AT_ONCE", 1)
    monkeypatch.setattr(container, "_aws_client", moto_client)
    return yearly


def drain(url: str) -> list[Any]:
    """Remove and return a queue's messages, in a tenth of the time of SQS's calls."""
    waiting = sqs_backends["123456789012"][REGION].queues[url.rpartition("/")[2]]._messages
    messages = list(waiting)
    waiting.clear()
    return messages


def begin(world: ResetWorld) -> None:
    """Empty the tables and the queue; add three finance logins, which make two chunks."""
    for table in tables().values():
        table.items.clear()
    drain(world.queue)
    world.world.clock.time = MIDNIGHT
    add_logins(LOGINS)


def run(world: ResetWorld, point: Point | None = None) -> None:
    """Start the run and work the queue until a failure; Lambda's own calls to the queue never fail."""
    receives: Counter[str] = Counter()

    def armed(call: Callable[[], set[str] | None]) -> set[str]:
        if point is None:
            return call() or set()
        with point:
            return call() or set()

    try:
        armed(world.schedule)
        waiting: list[Any] = []
        while waiting := waiting + drain(world.queue):
            batch = [received(message, receives) for message in waiting]
            again = armed(partial(world.invoke, batch))
            waiting = [message for message in waiting if message.id in again]
    except (ServiceError, Crash):
        return


def received(message: Any, receives: Counter[str]) -> dict[str, Any]:
    """Return a message in the form of SQS's ReceiveMessage."""
    receives[message.id] += 1
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.id,
        "Body": message.body,
        "MD5OfBody": message.body_md5,
        "Attributes": {"ApproximateReceiveCount": str(receives[message.id])},
    }


def test_the_next_start_finishes_whatever_failed(world: ResetWorld, faults: Faults) -> None:
    """After any failure and one more start each login is reset once, and the counts are consistent.

    Where the client repeated the call with success, no other start is needed.
    """

    def act(point: Point) -> None:
        begin(world)
        run(world, point)
        if point.name is not None:
            # By then the messages of a failed worker would be visible again.
            drain(world.queue)
            world.world.clock.time += 3_600
            run(world)
        for login in stored(LoginItem):
            expected = (2, YEAR) if login.login.endswith("_cw") else (1, None)
            assert (login.password_version, login.reset_year) == expected
        events = stored(AuditItem)
        assert [event.event for event in events] == ["yearly-reset"] * LOGINS
        assert world.adds_up()
        announcements = drain(world.told)
        # Operators may receive an announcement twice where the answer to it, or the write that
        # records it, was lost.
        twice = point.hit == "Publish" and point.kind.took_effect
        assert 1 <= len(announcements) <= (2 if twice or point.name == "UpdateItem" else 1)

    swept = faults.sweep("yearly reset", act, KINDS)
    assert {"Scan", "TransactWriteItems", "UpdateItem", "GetItem", "BatchGetItem"} <= set(swept)
    assert {"SendMessageBatch", "Publish"} <= set(swept)
