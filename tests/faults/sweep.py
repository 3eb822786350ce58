"""Fails each outgoing call of a story in turn, in every way in which a call can fail.

Calls are DynamoDB's, SQS's, SNS's and Secrets Manager's, where the service's own client takes them, or
botocore hands them to its endpoint, with all repeats still before them; and those of gateways and of WeChat's client, at the one
function by which both send.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPResponse, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.endpoint import Endpoint
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from chalicelib import wire
from chalicelib.aws import JsonClient
from chalicelib.domain.errors import ServiceError
from chalicelib.sms import wire as sms_wire
from chalicelib.wechat import wire as wechat_wire

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Kind:
    """A way to fail; `aws` and `http` make what botocore and `wire` raise. Where `aws` is None,
    AWS's calls are passed over."""

    name: str
    took_effect: bool
    aws: Callable[[], BaseException] | None
    http: Callable[[], BaseException]


REFUSED = Kind(
    "refused",
    False,
    lambda: EndpointConnectionError(endpoint_url=NOBODY),
    lambda: wire.NotSent("ConnectionRefusedError"),
)
# To a caller of AWS an answer that was lost and one that came too late are two classes of one
# exception: they take turns from call to call.
_NO_ANSWERS = itertools.cycle((ConnectionClosedError, ReadTimeoutError))
LOST = Kind(
    "answer lost",
    True,
    lambda: next(_NO_ANSWERS)(endpoint_url=NOBODY),
    lambda: RemoteDisconnected("the connection was closed"),
)
# A call to AWS that took no effect looks to its caller as one that was refused, and is that above.
HUNG = Kind("time-out, no effect", False, None, lambda: TimeoutError("no answer"))
LATE = Kind("time-out, effect", True, None, lambda: TimeoutError("no answer"))
KINDS = (REFUSED, LOST, HUNG, LATE)


@dataclass
class Point:
    """One run of a story: in it the call of this number fails. `with point:` arms it."""

    kind: Kind
    number: int
    step: str = ""
    """What the person is doing; the story says it."""
    name: str | None = None
    """The call that failed: AWS's operation, or the path of an address. None where there are fewer."""
    failed_at: str | None = None
    """The step in which it failed."""
    unexpected: list[str] = field(default_factory=list)
    """Failures that no code of ours had foreseen."""
    _seen: Iterator[int] = field(default_factory=itertools.count)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Point:
        self._token = _armed.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _armed.reset(self._token)

    def is_hit(self, name: str) -> bool:
        """Count a call; whether it is the one that fails."""
        with self._guard:
            if next(self._seen) != self.number:
                return False
            self.name, self.failed_at = name, self.step
            return True

    def failed(self, step: str, name: str | None = None) -> bool:
        """Whether the fault was in this step, and at a call of this name."""
        return self.failed_at == step and name in (None, self.name)

    def __str__(self) -> str:
        return f"{self.kind.name} at call {self.number}, {self.failed_at or '-'}: {self.name}"


# A context's own, so that what other threads of the test call meanwhile is not counted.
_armed: ContextVar[Point | None] = ContextVar("armed", default=None)


def _aws(call: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a client that makes a call: the service's own, or that of botocore's endpoint."""

    def faulty(self: Any, operation: Any, request: Any) -> Any:
        point = _armed.get()
        error = None if point is None else point.kind.aws
        name = getattr(operation, "name", operation)
        if point is None or error is None or not point.is_hit(name):
            return call(self, operation, request)
        if point.kind.took_effect:
            call(self, operation, request)
        raise error()

    return faulty


@contextmanager
def _sent(trust: Any, method: str, url: str, *rest: Any) -> Iterator[HTTPResponse]:
    point = _armed.get()
    if point is None or not point.is_hit(urlsplit(url).path or "/"):
        with wire.sent(trust, method, url, *rest) as response:
            yield response
        return
    if point.kind.took_effect:
        with wire.sent(trust, method, url, *rest):
            pass
    raise point.kind.http()


class _Unexpected(logging.Handler):
    """Notes what the service itself calls unexpected."""

    def __init__(self, point: Point) -> None:
        super().__init__(logging.ERROR)
        self._point = point

    def emit(self, record: logging.LogRecord) -> None:
        alarm = getattr(record, "alarm", None)
        error = record.exc_info[1] if record.exc_info else None
        foreseen = alarm == "callback" and isinstance(error, ServiceError)
        if alarm in ("unexpected", "callback") and not foreseen:
            self._point.unexpected.append(f"{record.getMessage()}: {error!r}")


class Faults:
    """Sweeps stories."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def sweep(
        self, story: str, act: Callable[[Point], None], kinds: Sequence[Kind] = KINDS
    ) -> Counter[str]:
        """Call `act` with each point of the story until there are no more, and once without a fault.

        Returns how often each call was made to fail, and prints the sum.
        """
        swept: Counter[str] = Counter()
        for kind in kinds:
            for number in itertools.count():
                point = Point(kind, number)
                _run(act, point)
                if point.name is None:
                    break
                swept[point.name] += 1
        named = ", ".join(f"{name} {times}" for name, times in sorted(swept.items()))
        self._say(f"{story}: {swept.total()} points swept ({named})")
        return swept


def _run(act: Callable[[Point], None], point: Point) -> None:
    watch = _Unexpected(point)
    ours = logging.getLogger("chalicelib")
    ours.addHandler(watch)
    try:
        act(point)
        assert not point.unexpected, point.unexpected
    except Exception as error:
        error.add_note(f"with {point}")
        raise
    finally:
        ours.removeHandler(watch)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Faults:
    """Puts itself in the way of every outgoing call, and lets them pass until a point is armed."""
    monkeypatch.setattr(Endpoint, "make_request", _aws(Endpoint.make_request))
    # pynamodb knows the one by its other name.
    faulty = _aws(JsonClient.call)
    monkeypatch.setattr(JsonClient, "call", faulty)
    monkeypatch.setattr(JsonClient, "_make_api_call", faulty)
    monkeypatch.setattr(sms_wire, "sent", _sent)
    monkeypatch.setattr(wechat_wire, "sent", _sent)

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return Faults(say)
