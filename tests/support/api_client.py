"""Chalice's test client for the API, with the caller's identity that API Gateway adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalice.app import IAMAuthorizer
from chalice.config import Config
from chalice.test import TestHTTPClient

from app import app
from infra.local.gateway import GreedyRouteMatcher

IDENTITY = {
    "userArn": "arn:aws-cn:sts::123456789012:assumed-role/login-page/server",
    "accessKey": "ASIAEXAMPLE",
}


class ApiClient(TestHTTPClient):
    """Chalice's test client, safe for several threads, with a caller's identity on IAM routes.

    Chalice's own replaces os.environ by a copy for each request. After two concurrent requests one
    of the copies would stay, with whatever a test had set in it.
    """

    __test__ = False

    def __init__(self) -> None:
        super().__init__(app, Config.create(chalice_app=app))
        self.identity: dict[str, str] = {**IDENTITY}
        """What API Gateway adds about the caller on routes with IAM authorization."""
        converter = self._local_gateway.event_converter
        converter._route_matcher = GreedyRouteMatcher(app.routes)
        create = converter.create_lambda_event

        def create_with_identity(*args: Any, **kwargs: Any) -> Any:
            event = create(*args, **kwargs)
            context = event["requestContext"]
            route = app.routes[context["resourcePath"]].get(context["httpMethod"])
            if route is not None and isinstance(route.authorizer, IAMAuthorizer):
                context["identity"].update(self.identity)
            return event

        converter.create_lambda_event = create_with_identity  # type: ignore[method-assign]

    @contextmanager
    def _patched_env_vars(self, environment_variables: dict[str, str]) -> Iterator[None]:
        yield


class AddressedClient(ApiClient):
    """The API's test client, whose requests come from `address`."""

    def __init__(self) -> None:
        super().__init__()
        self.address = "192.0.2.1"
        converter = self._local_gateway.event_converter
        create = converter.create_lambda_event

        def create_with_address(*args: Any, **kwargs: Any) -> Any:
            event = create(*args, **kwargs)
            event["requestContext"]["identity"]["sourceIp"] = self.address
            return event

        converter.create_lambda_event = create_with_address  # type: ignore[method-assign]
