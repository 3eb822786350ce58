"""Fails each outgoing call of a story in turn, in every way in which a call can fail.

Calls are those to AWS, where botocore hands them to its endpoint (those to DynamoDB where pynamodb
hands them to botocore's client), with all repeats still before them; and those of gateways and of
WeChat's client, at the one method by which both send.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import botocore.endpoint
import pytest
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from moto.core.responses import ActionResult
from moto.dynamodb.responses import DynamoHandler

from chalicelib.domain.errors import ServiceError
from chalicelib.http_client import HttpClient, OutcomeUnknown, RequestNotSent, Response
from tests.conftest import Tell
from tests.support import moto_direct

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Kind:
    """A way to fail; `aws` and `http` make what botocore and HttpClient raise. Where one of them is
    None, such calls are passed over."""

    name: str
    took_effect: bool
    aws: Callable[[], BaseException] | None
    http: Callable[[], BaseException] | None = None
    repeats: bool = False
    """The first answer alone is lost, and whether to ask again is left to the client."""
    only: str | None = None
    """The one call that can fail like this."""

    def meets(self, name: str, *, by_aws: bool) -> bool:
        """Whether a call of this name can fail like this."""
        return (self.aws if by_aws else self.http) is not None and self.only in (None, name)


REFUSED = Kind(
    "refused",
    False,
    lambda: EndpointConnectionError(endpoint_url=NOBODY),
    lambda: RequestNotSent("ConnectionRefusedError"),
)
# To a caller of AWS an answer that was lost and one that came too late are two classes of one
# exception: they take turns from call to call.
_NO_ANSWERS = itertools.cycle((ConnectionClosedError, ReadTimeoutError))
LOST = Kind(
    "answer lost",
    True,
    lambda: next(_NO_ANSWERS)(endpoint_url=NOBODY),
    lambda: OutcomeUnknown("RemoteDisconnected"),
)
# A call to AWS that took no effect looks to its caller as one that was refused, and is that above.
HUNG = Kind("time-out, no effect", False, None, lambda: OutcomeUnknown("TimeoutError"))
LATE = Kind("time-out, effect", True, None, lambda: OutcomeUnknown("TimeoutError"))
# What the client lives through on its own. Gateways' and WeChat's clients never ask again by
# themselves: what they do after an answer was lost is seen above.
REPEATED = Kind(
    "answer lost, asked again",
    True,
    lambda: ConnectionClosedError(endpoint_url=NOBODY),
    repeats=True,
)
KINDS = (REFUSED, LOST, HUNG, LATE, REPEATED)
_NOTHING = Kind("no fault", False, None)


@dataclass
class Point:
    """One run of a story: in it the call of this number fails. `with point:` arms it."""

    kind: Kind
    number: int
    step: str = ""
    """What the person is doing; the story says it."""
    hit: str | None = None
    """The call that met the fault: AWS's operation, or the path of an address."""
    hit_at: str | None = None
    """The step in which it did."""
    unexpected: list[str] = field(default_factory=list)
    """Failures that no code of ours had foreseen."""
    calls: list[tuple[str, bool]] = field(default_factory=list)
    """The calls that could meet it, in order, and whether each was to AWS."""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Point:
        self._token = _armed.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _armed.reset(self._token)

    @property
    def name(self) -> str | None:
        """The call that failed, as its caller saw it; None where there is none."""
        return None if self.kind.repeats else self.hit

    def is_hit(self, name: str, *, by_aws: bool) -> bool:
        """Count a call; whether it is the one that fails."""
        if self.kind is not _NOTHING and not self.kind.meets(name, by_aws=by_aws):
            return False
        with self._guard:
            self.calls.append((name, by_aws))
            if len(self.calls) - 1 != self.number:
                return False
            self.hit, self.hit_at = name, self.step
            return True

    def met(self, step: str, name: str | None = None) -> bool:
        """Whether the fault was in this step, and at a call of this name."""
        return self.hit_at == step and name in (None, self.hit)

    def failed(self, step: str, name: str | None = None) -> bool:
        """The same, where the call failed as its caller saw it."""
        return self.met(step, name) and not self.kind.repeats

    def __str__(self) -> str:
        return f"{self.kind.name} at call {self.number}, {self.hit_at or '-'}: {self.hit}"


# A context's own, so that what other threads of the test call meanwhile is not counted.
_armed: ContextVar[Point | None] = ContextVar("armed", default=None)


# Whether the next answer that botocore gets is lost.
_losing: ContextVar[bool] = ContextVar("losing", default=False)


def _requested(request: Callable[..., Any]) -> Callable[..., Any]:
    """One call of botocore's to another service than DynamoDB, with its repeats."""

    def faulty(self: Endpoint, operation: Any, params: Any) -> Any:
        if operation.service_model.service_name == "dynamodb":
            return request(self, operation, params)
        return _met(operation.name, lambda: request(self, operation, params))

    return faulty


def _met(name: str, send: Callable[[], Any], at_hand: Callable[[], Any] | None = None) -> Any:
    """Send a call to AWS, or fail it where it is the one to fail.

    `send` goes through all of botocore. `at_hand` is a shorter way to the same effect, for the calls
    of which botocore repeats nothing.
    """
    point = _armed.get()
    short = at_hand or send
    if point is None or not point.is_hit(name, by_aws=True):
        return short()
    assert point.kind.aws is not None
    if point.kind.repeats:
        losing = _losing.set(True)
        try:
            return send()
        finally:
            _losing.reset(losing)
    if point.kind.took_effect:
        # The answer that is lost may be a refusal.
        with suppress(ClientError):
            short()
    raise point.kind.aws()


def _got(get: Callable[..., Any]) -> Callable[..., Any]:
    """The answer to one attempt of botocore's."""

    def losing(self: Endpoint, *given: Any) -> Any:
        got = get(self, *given)
        if not _losing.get():
            return got
        _losing.set(False)
        return None, ConnectionClosedError(endpoint_url=NOBODY)

    return losing


class _Store:
    """DynamoDB, with what moto does not do.

    A repeat with the token of a success changes nothing: so DynamoDB treats a ClientRequestToken for
    ten minutes. A call that is not to be repeated reaches moto as a function, since there are
    a hundred of them for one that is examined; what botocore repeats goes over the whole way.
    """

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._guard = threading.Lock()

    def called(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Calls of botocore's client."""

        def at_hand_or_whole(client: Any, operation: str, params: dict[str, Any]) -> Any:
            def whole() -> Any:
                return call(client, operation, params)

            def at_hand() -> Any:
                with self._guard:
                    return moto_direct.call(operation, params)

            if client.meta.service_model.service_name != "dynamodb":
                return whole()
            return _met(operation, whole, at_hand)

        return at_hand_or_whole

    def transacted(self, transact: Callable[[DynamoHandler], Any]) -> Callable[..., Any]:
        """Transactions that reach moto by way of botocore."""

        def once(handler: DynamoHandler) -> Any:
            token = handler.body["ClientRequestToken"]
            if token in self._tokens:
                return ActionResult({})
            answer = transact(handler)
            self._tokens.add(token)
            return answer

        return once


def _sent(send: Callable[..., Response]) -> Callable[..., Response]:
    """A request to a gateway or to WeChat."""

    def faulty(self: HttpClient, method: str, url: str, *rest: Any, **named: Any) -> Response:
        point = _armed.get()
        if point is None or not point.is_hit(urlsplit(url).path or "/", by_aws=False):
            return send(self, method, url, *rest, **named)
        assert point.kind.http is not None
        if point.kind.took_effect:
            send(self, method, url, *rest, **named)
        raise point.kind.http()

    return faulty


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

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def sweep(
        self, story: str, act: Callable[[Point], None], kinds: Sequence[Kind] = KINDS
    ) -> Counter[str]:
        """Call `act` once without a fault, and then with each point that its calls make.

        Returns how often each call was made to fail, and prints the sum.
        """
        whole = Point(_NOTHING, -1)
        _run(act, whole)
        swept: Counter[str] = Counter()
        for kind in kinds:
            # Up to the fault a run is as the one without.
            met = [name for name, by_aws in whole.calls if kind.meets(name, by_aws=by_aws)]
            for number, name in enumerate(met):
                point = Point(kind, number)
                _run(act, point)
                assert point.hit == name, point
                swept[name] += 1
        named = ", ".join(f"{name} {times}" for name, times in sorted(swept.items()))
        self._tell(f"faults, {story}: {swept.total()} points swept ({named})")
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


def intercept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every outgoing call pass through the armed point."""
    endpoint: Any = Endpoint
    client: Any = BaseClient
    monkeypatch.setattr(endpoint, "make_request", _requested(endpoint.make_request))
    monkeypatch.setattr(endpoint, "_get_response", _got(endpoint._get_response))
    # botocore waits up to a second before it repeats a request.
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    store = _Store()
    monkeypatch.setattr(client, "_make_api_call", store.called(client._make_api_call))
    once = store.transacted(DynamoHandler.transact_write_items)
    monkeypatch.setattr(DynamoHandler, "transact_write_items", once)
    monkeypatch.setattr(HttpClient, "request", _sent(HttpClient.request))
