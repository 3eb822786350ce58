"""API Gateway on this machine: from a request to Chalice's event, and the answer back.

What `chalice local` leaves out and callers would notice is done here: the peer's address, a
checked signature on IAM routes, our own words for unknown addresses and methods.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from chalice.app import Chalice, IAMAuthorizer, Response
from chalice.config import Config
from chalice.local import (
    ForbiddenError,
    LambdaContext,
    LocalChalice,
    LocalGateway,
    LocalGatewayAuthorizer,
    LocalGatewayException,
)
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as HttpResponse

from chalicelib.handlers.http.problems import problem

from .serving import Reply, headers, raw_target, read_body
from .sigv4_check import SignatureCheck

log = logging.getLogger(__name__)

TIMEOUT = 29
"""Seconds that API Gateway waits for a function."""


class ThreadedChalice(LocalChalice):
    """The app's class while it serves many threads: each has a current request of its own."""


class _Authorizer(LocalGatewayAuthorizer):
    """Checks the signature on IAM routes, which `chalice local` lets pass unseen."""

    def __init__(self, app: Chalice, check: SignatureCheck, caller: str) -> None:
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
        if not self._check.is_right(context["httpMethod"], raw_path, lambda_event["headers"], raw):
            raise ForbiddenError({})
        context["identity"]["userArn"] = self._caller
        return lambda_event, lambda_context


class Gateway:
    """Answers requests by the Chalice app."""

    def __init__(self, app: Chalice, check: SignatureCheck, caller: str) -> None:
        """`caller` is the ARN that stands for whoever signs rightly."""
        if not isinstance(app, LocalChalice):
            # Chalice's own way of local serving: the instance changes its class.
            app.__class__ = type("LocalApp", (ThreadedChalice, app.__class__), {})
        self._app = app
        self._config = Config.create(
            chalice_stage="local", lambda_timeout=TIMEOUT, app_name=app.app_name
        )
        self._chalice = LocalGateway(app, self._config)
        self._authorizer = _Authorizer(app, check, caller)

    def context(self, function: str) -> LambdaContext:
        """A Lambda context for a call of a function."""
        return LambdaContext(function, 1769, TIMEOUT * 1000)

    def answer(self, request: Request) -> HttpResponse:
        """Return the service's answer. Raises what `read_body` raises, and nothing else."""
        body = read_body(request)
        try:
            return self._answer(request, body)
        except ForbiddenError:
            return rendered(problem("forbidden", 403))
        except LocalGatewayException as error:
            return Reply(error.body or b"", error.CODE, dict(error.headers))
        except Exception:
            log.exception("the gateway failed")
            return rendered(problem("unavailable", 503))

    def _answer(self, request: Request, body: bytes) -> Reply:
        target = raw_target(request)
        try:
            match = self._chalice.event_converter._route_matcher.match_route(target)
        except ValueError:
            return rendered(problem("not-found", 404))
        methods = list(self._app.routes[match.route])
        method = request.method
        if method == "HEAD" and "GET" in methods and "HEAD" not in methods:
            method = "GET"
        preflight = method == "OPTIONS" and any(
            route.cors is not None for route in self._app.routes[match.route].values()
        )
        if method not in methods and not preflight:
            refused = rendered(problem("method-not-allowed", 405))
            head = ["HEAD"] if "GET" in methods and "HEAD" not in methods else []
            refused.headers["Allow"] = ", ".join(sorted([*methods, *head]))
            return refused
        context = self.context("app")
        event = self._event(request, method, match, context, body)
        if preflight and method not in methods:
            return Reply(b"", 204, dict(self._chalice._autogen_options_headers(event)))
        event, context = self._authorizer.authorize(target, event, context)
        made = self._app(event, context)
        sent = Headers({**made["headers"], **made["multiValueHeaders"]})
        return Reply(self._decoded(made), made["statusCode"], sent)

    def _decoded(self, made: dict[str, Any]) -> bytes:
        body = made.get("body") or ""
        if made.get("isBase64Encoded"):
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
                "requestTimeEpoch": int(time.time() * 1000),
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
    """The size in bytes from which this project's API Gateway compresses answers, if it does."""
    config = json.loads((root / ".chalice" / "config.json").read_text("utf-8"))
    size = config.get("minimum_compression_size")
    return size if isinstance(size, int) else None


def rendered(response: Response) -> Reply:
    """Return a Chalice response as it is sent."""
    return Reply(str(response.body).encode(), response.status_code, dict(response.headers))
