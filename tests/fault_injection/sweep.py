"""Makes each outgoing call of a use case fail once, in every way in which a call can fail.

Calls to AWS are intercepted between botocore's client and its endpoint (those to DynamoDB between
pynamodb and botocore's client), before any repeat; calls of SMS gateways and of WeChat's client at
`HttpClient.request`, by which both send.
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
from tests.conftest import Report
from tests.support import moto_direct

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Kind:
    """A way to fail.

    `aws` and `http` make the exceptions of botocore and HttpClient; None excludes such calls.
    """

    name: str
    took_effect: bool
    aws: Callable[[], BaseException] | None
    http: Callable[[], BaseException] | None = None
    repeats: bool = False
    """Only the first answer is lost, and the client may repeat the request."""
    only: str | None = None
    """The only call that can fail like this; None for any."""

    def applies_to(self, name: str, *, by_aws: bool) -> bool:
        """Return whether a call of this name can fail like this."""
        return (self.aws if by_aws else self.http) is not None and self.only in (None, name)


REFUSED = Kind(
    "refused",
    False,
    lambda: EndpointConnectionError(endpoint_url=NOBODY),
    lambda: RequestNotSent("ConnectionRefusedError"),
)
# botocore raises one class for a lost answer and another for a late one; they alternate from call to
# call.
_NO_ANSWERS = itertools.cycle((ConnectionClosedError, ReadTimeoutError))
LOST = Kind(
    "answer lost",
    True,
    lambda: next(_NO_ANSWERS)(endpoint_url=NOBODY),
    lambda: OutcomeUnknown("RemoteDisconnected"),
)
# For AWS a time-out without effect raises the same as a refused connection, which is covered above.
HUNG = Kind("time-out, no effect", False, None, lambda: OutcomeUnknown("TimeoutError"))
LATE = Kind("time-out, effect", True, None, lambda: OutcomeUnknown("TimeoutError"))
# A failure that the client itself makes up for. The clients of gateways and of WeChat never repeat a
# request by themselves; a lost answer to them is covered above.
REPEATED = Kind(
    "answer lost, request repeated",
    True,
    lambda: ConnectionClosedError(endpoint_url=NOBODY),
    repeats=True,
)
KINDS = (REFUSED, LOST, HUNG, LATE, REPEATED)
_NOTHING = Kind("no fault", False, None)


@dataclass
class Point:
    """One run of a use case, in which the call of this number fails. `with point:` arms it."""

    kind: Kind
    number: int
    step: str = ""
    """The current step, set by the use case."""
    hit: str | None = None
    """The call that failed: the operation of AWS, or the path of a URL."""
    hit_at: str | None = None
    """The step in which it failed."""
    unexpected: list[str] = field(default_factory=list)
    """Errors that the service logged as unexpected."""
    calls: list[tuple[str, bool]] = field(default_factory=list)
    """The calls that can fail like this, in order, and whether each was to AWS."""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Point:
        self._token = _armed.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _armed.reset(self._token)

    @property
    def name(self) -> str | None:
        """The call whose caller saw the failure; None where there is none."""
        return None if self.kind.repeats else self.hit

    def is_hit(self, name: str, *, by_aws: bool) -> bool:
        """Count a call and return whether it is the one that fails."""
        if self.kind is not _NOTHING and not self.kind.applies_to(name, by_aws=by_aws):
            return False
        with self._guard:
            self.calls.append((name, by_aws))
            if len(self.calls) - 1 != self.number:
                return False
            self.hit, self.hit_at = name, self.step
            return True

    def was_in(self, step: str, name: str | None = None) -> bool:
        """Return whether the fault was in this step, and at a call of this name."""
        return self.hit_at == step and name in (None, self.hit)

    def failed(self, step: str, name: str | None = None) -> bool:
        """Return whether a caller saw a failure in this step, and at a call of this name."""
        return self.was_in(step, name) and not self.kind.repeats

    def __str__(self) -> str:
        return f"{self.kind.name} at call {self.number}, {self.hit_at or '-'}: {self.hit}"


# A context variable, so that calls of the test's other threads are not counted.
_armed: ContextVar[Point | None] = ContextVar("armed", default=None)


# Whether the next answer to botocore is lost.
_losing: ContextVar[bool] = ContextVar("losing", default=False)


def _intercept_request(request: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap botocore's calls to other services than DynamoDB, with their repeats."""

    def faulty(self: Endpoint, operation: Any, params: Any) -> Any:
        if operation.service_model.service_name == "dynamodb":
            return request(self, operation, params)
        return _send_or_fail(operation.name, lambda: request(self, operation, params))

    return faulty


def _send_or_fail(
    name: str, send: Callable[[], Any], direct: Callable[[], Any] | None = None
) -> Any:
    """Send a call to AWS, or fail it where it is the one to fail.

    `send` goes through all of botocore. `direct` has the same effect in less time, for calls that
    botocore does not repeat.
    """
    point = _armed.get()
    short = direct or send
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
        # The lost answer may be an error.
        with suppress(ClientError):
            short()
    raise point.kind.aws()


def _intercept_response(get: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the receipt of the answer to one attempt of botocore."""

    def losing(self: Endpoint, *args: Any) -> Any:
        response = get(self, *args)
        if not _losing.get():
            return response
        _losing.set(False)
        return None, ConnectionClosedError(endpoint_url=NOBODY)

    return losing


class _Store:
    """DynamoDB on moto, with idempotent transactions.

    DynamoDB ignores a repeated ClientRequestToken for ten minutes, which moto does not. Calls that
    botocore does not repeat reach moto as functions, since most calls of a sweep do not fail; only
    repeated ones go through all of botocore.
    """

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._guard = threading.Lock()

    def intercept_call(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the calls of botocore's client."""

        def direct_or_whole(client: Any, operation: str, params: dict[str, Any]) -> Any:
            def whole() -> Any:
                return call(client, operation, params)

            def direct() -> Any:
                with self._guard:
                    return moto_direct.call(operation, params)

            if client.meta.service_model.service_name != "dynamodb":
                return whole()
            return _send_or_fail(operation, whole, direct)

        return direct_or_whole

    def intercept_transaction(self, transact: Callable[[DynamoHandler], Any]) -> Callable[..., Any]:
        """Wrap the transactions that reach moto through botocore."""

        def once(handler: DynamoHandler) -> Any:
            token = handler.body["ClientRequestToken"]
            if token in self._tokens:
                return ActionResult({})
            answer = transact(handler)
            self._tokens.add(token)
            return answer

        return once


def _intercept_send(send: Callable[..., Response]) -> Callable[..., Response]:
    """Wrap the requests to gateways and to WeChat."""

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
    """Collects the errors that the service logs as unexpected."""

    def __init__(self, point: Point) -> None:
        super().__init__(logging.ERROR)
        self._point = point

    def emit(self, record: logging.LogRecord) -> None:
        alarm = getattr(record, "alarm", None)
        error = record.exc_info[1] if record.exc_info else None
        expected = alarm == "callback" and isinstance(error, ServiceError)
        if alarm in ("unexpected", "callback") and not expected:
            self._point.unexpected.append(f"{record.getMessage()}: {error!r}")


class Faults:
    """Sweeps use cases."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def sweep(
        self, use_case: str, act: Callable[[Point], None], kinds: Sequence[Kind] = KINDS
    ) -> Counter[str]:
        """Call `act` once without a fault, then once for each of its calls and each kind of failure.

        Return how often each call failed, and print the sum.
        """
        whole = Point(_NOTHING, -1)
        _run(act, whole)
        swept: Counter[str] = Counter()
        for kind in kinds:
            # Up to the fault a run equals the one without a fault.
            names = [name for name, by_aws in whole.calls if kind.applies_to(name, by_aws=by_aws)]
            for number, name in enumerate(names):
                point = Point(kind, number)
                _run(act, point)
                assert point.hit == name, point
                swept[name] += 1
        named = ", ".join(f"{name} {times}" for name, times in sorted(swept.items()))
        self._report(f"faults, {use_case}: {swept.total()} points swept ({named})")
        return swept


def _run(act: Callable[[Point], None], point: Point) -> None:
    handler = _Unexpected(point)
    logger = logging.getLogger("chalicelib")
    logger.addHandler(handler)
    try:
        act(point)
        assert not point.unexpected, point.unexpected
    except Exception as error:
        error.add_note(f"with {point}")
        raise
    finally:
        logger.removeHandler(handler)


def intercept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every outgoing call pass through the armed point."""
    endpoint: Any = Endpoint
    client: Any = BaseClient
    monkeypatch.setattr(endpoint, "make_request", _intercept_request(endpoint.make_request))
    monkeypatch.setattr(endpoint, "_get_response", _intercept_response(endpoint._get_response))
    # botocore waits up to a second before it repeats a request.
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    store = _Store()
    monkeypatch.setattr(client, "_make_api_call", store.intercept_call(client._make_api_call))
    once = store.intercept_transaction(DynamoHandler.transact_write_items)
    monkeypatch.setattr(DynamoHandler, "transact_write_items", once)
    monkeypatch.setattr(HttpClient, "request", _intercept_send(HttpClient.request))
