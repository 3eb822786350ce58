"""Every function's calls, watched: one correlation id, figures written at the end, nothing secret out."""

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
from ..domain.errors import ServiceError
from ..telemetry import logs, metrics
from ..telemetry.invocation import Invocation, begun
from ..telemetry.masking import MINIMUM, parts
from .http.payloads import raw_body
from .http.problems import log_error, problem

log = logging.getLogger(__name__)

# What callers send that is public, and that operators look for.
_PUBLIC = frozenset({"login", "user_type"})

# Beyond these no door takes what was sent.
_MOST = 200
_MOST_BYTES = 65_536


class FunctionFailed(Exception):
    """A function ended by an exception, which stands in the log; Lambda is told its kind alone."""


def register(app: Chalice) -> None:
    """Watch every function of the app; within Lambda write lines and figures, and read the settings.

    Settings that cannot be read now are told, and read again by the first request.
    """
    app.register_middleware(observe)
    if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return
    logs.structured(sys.stdout)
    metrics.print_to(sys.stdout)
    try:
        runtime.service()
    except Exception as error:
        log.error("settings cannot be read: %s", error, extra={"alarm": "settings"})


def observe(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Chalice's middleware around every call, whatever called: HTTP, a schedule, a queue, logs."""
    with begun(_invocation(event)) as invocation:
        try:
            return get_response(event)
        except ServiceError as error:
            # Its words are ours; what it came of may quote anything, and Lambda would write it down.
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
    # API Gateway's own name of the request, which its access log has as well.
    named = str(event.context.get("requestId") or request_id)
    return Invocation(named, request_id, lambda: _secrets(event))


def _secrets(request: Request) -> Iterator[str]:
    """What the caller sent and no line may show, as far as one can tell without knowing the call."""
    for name in ("authorization", "cookie"):
        value = str(request.headers.get(name, ""))
        words = value.replace("=", " ").replace(";", " ").split()
        if any(len(word) < MINIMUM for word in words):
            # Otherwise nothing of it is left where its words are hidden.
            yield value
        yield from words
    yield from map(str, (request.uri_params or {}).values())
    query = request.query_params or MultiDict({})
    for name in query:
        if name not in _PUBLIC:
            yield from map(str, query.getlist(name))
    yield from islice(_in_body(request), _MOST)


def _in_body(request: Request) -> Iterator[str]:
    try:
        body = raw_body(request)[:_MOST_BYTES].decode("utf-8", "replace")
    except ValueError:
        # Not even bytes; no door reads it either.
        return
    try:
        leaves = list(_leaves(json.loads(body)))
    except (ValueError, RecursionError):
        # XML, a form, or nothing that can be read: every longer word in it may be a secret.
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
