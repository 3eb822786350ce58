"""API Gateway on this machine: turn requests into Chalice's events and results into responses.

Added to what `chalice local` does: the peer's address, verified signatures on IAM routes, and our
own errors for unknown paths and methods.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from chalice.app import Chalice, IAMAuthorizer, Response
from chalice.config import Config
from chalice.local import (
    ForbiddenError,
    LambdaContext,
    LocalChalice,
    LocalGateway,
    LocalGatewayAuthorizer,
    MatchResult,
    RouteMatcher,
)
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as HttpResponse

from chalicelib.handlers.http.problems import problem

from .serving import Reply, headers, raw_target, read_body
from .sigv4_check import SigV4Check

log = logging.getLogger(__name__)

TIMEOUT = 29
"""Seconds that API Gateway waits for a function."""

MEMORY = 1769
"""Megabytes in the Lambda context; no function depends on it."""


class ThreadedChalice(LocalChalice):
    """The app's class while it serves many threads: the current request is thread-local."""


class _Authorizer(LocalGatewayAuthorizer):
    """Verifies the signature on IAM routes; `chalice local` accepts any."""

    def __init__(self, app: Chalice, check: SigV4Check, caller: str) -> None:
        super().__init__(app)
        self._check = check
        self._caller = caller

    def authorize(self, raw_path: str, lambda_event: Any, lambda_context: Any) -> Any:
        context = lambda_event["requestContext"]
        routes = self._app_object.routes[context["resourcePath"]]
        route = routes.get(context["httpMethod"])
        if route is None or not isinstance(route.authorizer, IAMAuthorizer):
            return super().authorize(raw_path, lambda_event, lambda_context)
        body = lambda_event["body"] or b""
        raw = body.encode() if isinstance(body, str) else body
        if not self._check.is_valid(context["httpMethod"], raw_path, lambda_event["headers"], raw):
            raise ForbiddenError({})
        context["identity"]["userArn"] = self._caller
        return lambda_event, lambda_context


class GreedyRouteMatcher(RouteMatcher):
    """Matches `/{proxy+}`, which `chalice local` does not have, to what no other route matches."""

    GREEDY = "/{proxy+}"

    def __init__(self, route_urls: Iterable[str]) -> None:
        """`route_urls` are all routes of the app."""
        super().__init__([url for url in route_urls if url != self.GREEDY])

    def match_route(self, url: str) -> MatchResult:
        """Return the route, the path's parameters and the query's of a request's target."""
        try:
            return super().match_route(url)
        except ValueError:
            parsed = urlsplit(url)
            captured = {"proxy": parsed.path.strip("/")}
            return MatchResult(
                self.GREEDY, captured, parse_qs(parsed.query, keep_blank_values=True)
            )


class Gateway:
    """Serves requests with the Chalice app."""

    def __init__(
        self,
        app: Chalice,
        check: SigV4Check,
        caller: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`caller` is the ARN of everybody whose signature is valid."""
        self._clock = clock
        if not isinstance(app, LocalChalice):
            # As Chalice's own local server does: replace the class of the instance.
            app.__class__ = type("LocalApp", (ThreadedChalice, app.__class__), {})
        self._app = app
        self._config = Config.create(
            chalice_stage="local", lambda_timeout=TIMEOUT, app_name=app.app_name
        )
        self._matcher = GreedyRouteMatcher(app.routes)
        self._chalice = LocalGateway(app, self._config)
        self._authorizer = _Authorizer(app, check, caller)

    def _context(self) -> LambdaContext:
        return LambdaContext("app", MEMORY, TIMEOUT * 1000)

    def answer(self, request: Request) -> HttpResponse:
        """Return the service's answer. Raises what `read_body` raises, and nothing else."""
        body = read_body(request)
        try:
            return self._answer(request, body)
        except ForbiddenError:
            return rendered(problem("forbidden", 403))
        except Exception:
            log.exception("the gateway failed")
            return rendered(problem("unavailable", 503))

    def _answer(self, request: Request, body: bytes) -> Reply:
        target = raw_target(request)
        match = self._matcher.match_route(target)
        methods = list(self._app.routes[match.route])
        method = request.method
        if method == "HEAD" and "GET" in methods and "HEAD" not in methods:
            method = "GET"
        preflight = method == "OPTIONS" and any(
            route.cors is not None for route in self._app.routes[match.route].values()
        )
        if method not in methods and match.route == GreedyRouteMatcher.GREEDY:
            return rendered(problem("not-found", 404))
        if method not in methods and not preflight:
            refused = rendered(problem("method-not-allowed", 405))
            head = ["HEAD"] if "GET" in methods and "HEAD" not in methods else []
            refused.headers["Allow"] = ", ".join(sorted([*methods, *head]))
            return refused
        context = self._context()
        event = self._event(request, method, match, context, body)
        if preflight and method not in methods:
            return Reply(b"", 204, dict(self._chalice._autogen_options_headers(event)))
        event, context = self._authorizer.authorize(target, event, context)
        result = self._app(event, context)
        response_headers = Headers({**result["headers"], **result["multiValueHeaders"]})
        return Reply(self._decoded(result), result["statusCode"], response_headers)

    def _decoded(self, result: dict[str, Any]) -> bytes:
        body = result.get("body") or ""
        if result.get("isBase64Encoded"):
            return base64.b64decode(body)
        return body if isinstance(body, bytes) else str(body).encode()

    def _event(
        self, request: Request, method: str, match: Any, context: LambdaContext, body: bytes
    ) -> dict[str, Any]:
        """Return the event that API Gateway's proxy integration makes of a request."""
        query = match.query_params or None
        path = urlsplit(raw_target(request)).path
        multiple = headers(request)
        single = {name: values[-1] for name, values in multiple.items()}
        return {
            "resource": match.route,
            "path": path,
            "httpMethod": method,
            "headers": single,
            "multiValueHeaders": multiple,
            "queryStringParameters": query and {name: values[-1] for name, values in query.items()},
            "multiValueQueryStringParameters": query,
            "pathParameters": {name: unquote(value) for name, value in match.captured.items()},
            "stageVariables": {},
            "requestContext": {
                "httpMethod": method,
                "resourcePath": match.route,
                "path": path,
                "stage": "local",
                "protocol": "HTTP/1.1",
                "requestId": context.aws_request_id,
                "requestTimeEpoch": int(self._clock() * 1000),
                "identity": {
                    "sourceIp": request.remote_addr,
                    "userAgent": single.get("user-agent"),
                    "userArn": None,
                },
            },
            "body": body or None,
            "isBase64Encoded": False,
        }


def compressed_from(root: Path) -> int | None:
    """Return the size in bytes from which API Gateway compresses responses; None where it never does."""
    size = _chalice_config(root).get("minimum_compression_size")
    return size if isinstance(size, int) else None


def function_context(root: Path) -> Callable[[str], LambdaContext]:
    """Return what makes a function's Lambda context, with the time-out that it is deployed with.

    A shorter one would end the yearly reset's batches early: they stop 20 s before it.
    """
    config = _chalice_config(root)
    functions = config["stages"]["prod"]["lambda_functions"]

    def context(function: str) -> LambdaContext:
        timeout = functions.get(function, {}).get("lambda_timeout", config["lambda_timeout"])
        return LambdaContext(function, MEMORY, timeout * 1000)

    return context


def _chalice_config(root: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((root / ".chalice" / "config.json").read_text("utf-8"))
    return config


def rendered(response: Response) -> Reply:
    """Return a Chalice response as a werkzeug response."""
    return Reply(str(response.body).encode(), response.status_code, dict(response.headers))
