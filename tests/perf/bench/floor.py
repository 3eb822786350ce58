"""The floor of a whole recovery: a function that only sends what our service sends."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore import xform_name

from tests.package import runtime
from tests.perf.bench import ours, units
from tests.perf.bench.machine import Cores, Watch

FIRST = 35_000_000
"""The first of the recorded logins: other people than those of ours in the same tables."""

CALLS = ("update_item", "transact_write_items", "update_item", "get_item", "transact_write_items")
"""A recovery's DynamoDB calls: start, code, and three for the password and the WeChat to bind."""

POSTS = 2
"""A recovery's SMS: the code, and the notice of the new password."""

_OF_THE_CONNECTION = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "host", "user-agent"}
)


@dataclass(frozen=True)
class Step:
    """One event of a recovery, and what the function sent for it."""

    name: str
    event: dict[str, Any]
    calls: list[tuple[str, dict[str, Any]]]
    """Name of the client's method, and its parameters."""
    posts: list[tuple[dict[str, str], str]]
    """Headers and body of each SMS."""

    @property
    def key(self) -> str:
        """Return the key under which the floor function finds its calls: each login has its own address."""
        return f"{self.event['requestContext']['identity']['sourceIp']} {self.event['path']}"


Recording = list[Step]
"""The three steps of one recovery."""


@dataclass
class _Recorded(ours.Function):
    """Our function with a recorder between it and DynamoDB."""

    counter: units.Counter
    steps: Recording = field(default_factory=list)

    def answer(self, watch: Watch, step: str, event: dict[str, Any]) -> dict[str, Any]:
        """Answer as ours does, and record what was sent meanwhile."""
        phones = self.place.phones
        calls: list[tuple[str, bytes]] = []
        self.counter.recorded = calls
        before = len(phones.received)
        answer = super().answer(watch, step, event)
        self.steps.append(
            Step(
                step,
                event,
                parameters(calls),
                [
                    (_kept(received.headers), received.body.decode())
                    for received in phones.received[before:]
                ],
            )
        )
        return answer


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}


_BUDGET = b'"Key": {"id": {"S": "budget#'


def parameters(calls: Sequence[tuple[str, bytes]]) -> list[tuple[str, dict[str, Any]]]:
    """Return what botocore's client must be called with to send these calls, each once.

    On a busy machine ours repeats a call that was not answered in time: the same bytes again. The
    recording has it once, or the floor would hold another's retries. Writes of service-wide budgets
    are left out: an instance writes some of them, and the floor has none.
    """
    return [
        (xform_name(operation), json.loads(body))
        for operation, body in dict.fromkeys(calls)
        if _BUDGET not in body
    ]


def record(cores: Cores, count: int) -> list[Recording]:
    """Record so many recoveries. Raises AssertionError where one sends anything but CALLS and POSTS."""
    recordings: list[Recording] = []
    with (
        ours.place(cores, **ours.budget(count)) as around,
        units.counting(around.dynamodb) as counter,
        ours.function(around, "cheap_app.app", beside=ours.CHEAP, endpoint=counter.url) as api,
    ):
        function = _Recorded(around, api, ours.add_people(count, FIRST), counter)
        for number in range(count):
            function.steps = []
            function.recover(number, Watch(function.pids))
            check(function.steps)
            recordings.append(function.steps)
    return recordings


def check(recording: Recording) -> None:
    """Raise AssertionError where a recovery sends anything but CALLS and POSTS."""
    calls = tuple(operation for step in recording for operation, _ in step.calls)
    posts = sum(len(step.posts) for step in recording)
    if calls != CALLS or posts != POSTS:
        raise AssertionError(f"a recovery sent {calls} and {posts} SMS: the floor must follow")


def replay(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what the floor function sends for each event, by the step's key."""
    return {
        step.key: {"calls": step.calls, "posts": step.posts}
        for recording in recordings
        for step in recording
    }


@dataclass
class Floor:
    """The floor's function, with the interface that `recovery` measures."""

    api: runtime.RuntimeApi
    recordings: Sequence[Recording]

    @property
    def pids(self) -> list[int]:
        """The function's process."""
        return [self.api.pid]

    def recover(self, number: int, watch: Watch) -> None:
        """Repeat one recording. Raises Failed where a call is refused."""
        for step in self.recordings[number]:
            watch(step.name, lambda event=step.event: self.api.invoke(event))  # type: ignore[misc]


@contextmanager
def serving(around: ours.Place, recordings: Sequence[Recording]) -> Iterator[Floor]:
    """Run the floor's function in a place whose tables do not have its people yet."""
    ours.add_people(len(recordings), FIRST)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "replay.json"
        file.write_text(json.dumps(replay(recordings), ensure_ascii=False), "utf-8")
        with ours.function(
            around, "floor_function.handler", beside=ours.MINIMAL, BENCH_REPLAY=str(file)
        ) as api:
            yield Floor(api, recordings)
