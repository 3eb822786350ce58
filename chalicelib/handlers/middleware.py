"""Middleware around every call: a correlation id, metrics at the end, no secrets in logs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from chalice.app import Chalice, MultiDict, Request

from .. import runtime
from ..domain import origin
from ..domain.errors import InvalidInput, ServiceError
from ..telemetry import logs, metrics
from ..telemetry.invocation import Invocation, begun
from ..telemetry.masking import MINIMUM, parts
from .http.cookies import cookie_header
from .http.payloads import raw_body
from .http.problems import log_error, problem

log = logging.getLogger(__name__)

# Values that callers send, that are public, and that operators search the logs for.
_PUBLIC = frozenset({"login", "user_type"})

# No handler accepts more values or bytes than these.
_MAXIMUM_VALUES = 200
_MAXIMUM_BYTES = 65_536


class FunctionFailed(Exception):
    """A function failed by an exception. The log has it in full; Lambda gets its type alone."""


def register(app: Chalice) -> None:
    """Register the middleware; within Lambda also set up logs and metrics and read the settings.

    Settings that cannot be read now are logged, and read again by the first request.
    """
    app.register_middleware(observe)
    if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return
    logs.structured(sys.stdout)
    metrics.print_to(sys.stdout, os.environ.get("STACK_NAME", ""))
    try:
        runtime.service()
    except Exception as error:
        log.error("settings cannot be read: %s", error, extra={"alarm": "settings"})


def observe(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Wrap every call as Chalice's middleware: HTTP requests, schedules, queues, logs."""
    with begun(_invocation(event)) as invocation, origin.begun(invocation.correlation_id):
        try:
            return get_response(event)
        except ServiceError as error:
            # Its text is safe; its cause may quote anything, and Lambda would log the cause.
            log_error(error)
            raise error from None
        except Exception as error:
            log.exception("unexpected failure", extra={"alarm": "unexpected"})
            if event is None or isinstance(event, Request):
                return problem("unavailable", 503)
            raise FunctionFailed(type(error).__name__) from None
        finally:
            metrics.flush(invocation)


def _invocation(event: Any) -> Invocation:
    if event is None:
        return Invocation("", "", tuple)
    is_http = isinstance(event, Request)
    context = event.lambda_context if is_http else event.context
    request_id = str(getattr(context, "aws_request_id", "") or "")
    if not is_http:
        return Invocation(request_id, request_id, tuple)
    # API Gateway's id of the request, which its access log contains as well.
    correlation_id = str(event.context.get("requestId") or request_id)
    return Invocation(correlation_id, request_id, lambda: _secrets(event))


def _secrets(request: Request) -> Iterator[str]:
    """Yield the values of a request that no log line may contain, whatever the route is."""
    for value in (str(request.headers.get("authorization", "")), cookie_header(request)):
        words = value.replace("=", " ").replace(";", " ").split()
        if any(len(word) < MINIMUM for word in words):
            # Words this short are not masked one by one, so the value is masked as a whole.
            yield value
        yield from words
    yield from map(str, (request.uri_params or {}).values())
    query = request.query_params or MultiDict({})
    for name in query:
        if name not in _PUBLIC:
            yield from map(str, query.getlist(name))
    yield from islice(_in_body(request), _MAXIMUM_VALUES)


def _in_body(request: Request) -> Iterator[str]:
    try:
        body = raw_body(request)[:_MAXIMUM_BYTES].decode("utf-8", "replace")
    except InvalidInput:
        # No bytes can be decoded; no handler reads it either.
        return
    try:
        leaves = list(_leaves(json.loads(body)))
    except (ValueError, RecursionError):
        # XML, a form, or an unknown format: every longer word in it may be a secret.
        leaves = parts(unquote_plus(body).translate(_BREAKS))
    yield from leaves


_BREAKS = str.maketrans(dict.fromkeys("<>[]{}\"'=&,;", " "))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _PUBLIC or not isinstance(item, str):
                yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
