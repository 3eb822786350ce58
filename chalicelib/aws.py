"""Calls of AWS services that speak JSON, without what botocore's client does for all the others.

For each call botocore's client walks the service's model: rules for the endpoint, the parts of a
user agent, serialising, parsing, events of features that these services do not have. Its settings
take away a seventh of that (docs/speed.md has the figures). What pynamodb gives is in the wire's own
form already, so it goes out as it stands, signed and over kept connections.

Only a plain answer is taken from there: the result, or a refusal that the caller has to know of.
Whatever may pass (a connection that breaks, a server's error, throttling, credentials that have
expired) goes to botocore's own client, which is made at the first such need and knows when and how
often to ask again.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
import uuid
from http.client import HTTPException
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from botocore.httpsession import get_cert_path
from botocore.session import get_session
from botocore.utils import get_environ_proxies

from .sigv4 import signed
from .trust import trusting
from .wire import Kept, NotSent

_FINAL = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "TransactionConflictException",
    }
)
"""What the caller decides upon; asking again at once would only be told the same."""


class Protocol(NamedTuple):
    """How a service is spoken to, as its model in botocore says (`metadata`)."""

    service: str
    """The name by which it is signed, and by which botocore knows it."""
    target: str
    """`targetPrefix`."""
    content_type: str
    address: str
    """The environment's name for where the service is, one of AWS's own."""


DYNAMODB = Protocol(
    "dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0", "AWS_ENDPOINT_URL_DYNAMODB"
)
SECRETS_MANAGER = Protocol(
    "secretsmanager",
    "secretsmanager",
    "application/x-amz-json-1.1",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
)


class Limits(NamedTuple):
    """How long to wait, in seconds for each attempt, how often to ask, over how many connections."""

    connect_timeout: float
    read_timeout: float
    attempts: int
    """At the most: one here, the others botocore's."""
    connections: int = 1


class _Operation(NamedTuple):
    """As much of botocore's OperationModel as the handlers of its events ask for."""

    name: str
    is_endpoint_discovery_operation: bool = False


class JsonClient:
    """Stands in for botocore's client of one service; safe for several threads.

    `meta.events` is the session's emitter: the events `before-call`, `before-send` and `after-call`
    are emitted as botocore's client does, so that what hangs on to them (moto, say) works here too.
    """

    def __init__(self, protocol: Protocol, limits: Limits) -> None:
        self._protocol = protocol
        self._limits = limits
        self._session = get_session()
        self._lock = threading.RLock()
        self._kept: Kept | None = None
        self._url = ""
        self._real: Any = None
        self._region = self._session.get_config_variable("region")
        self.meta = SimpleNamespace(events=self._session.get_component("event_emitter"))

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request in the wire's own form.

        Raises ClientError for what the service refuses, and whatever botocore raises where there is
        no answer. `RetryAttempts` in the refusal's metadata, where it has any, tells of attempts
        before the one that was refused; one of them may have taken effect.
        """
        if operation == "TransactWriteItems":
            # By this the service knows a repeat, whoever sends it.
            params = {"ClientRequestToken": str(uuid.uuid4()), **params}
        answer = self._asked(operation, params)
        if answer is not None:
            return answer
        if self._connected() is None:
            return self._answered_by_botocore(operation, params)
        try:
            return self._answered_by_botocore(operation, params)
        except ClientError as error:
            # What botocore calls its first attempt was a repeat already.
            response: Any = error.response
            told = response.setdefault("ResponseMetadata", {})
            told["RetryAttempts"] = told.get("RetryAttempts", 0) + 1
            raise

    def _answered_by_botocore(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._botocore()._make_api_call(operation, params)
        return answer

    # pynamodb calls its client by this name.
    _make_api_call = call

    def get_secret_value(self, **params: str) -> dict[str, Any]:
        """Secrets Manager's GetSecretValue."""
        return self.call("GetSecretValue", params)

    def _asked(self, operation: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """The plain answer; None where botocore must see to it."""
        protocol, emit = self._protocol, self.meta.events.emit_until_response
        kept = self._connected()
        if kept is None:
            return None
        headers = {
            "Host": urlsplit(self._url).netloc,
            "Content-Type": protocol.content_type,
            "X-Amz-Target": f"{protocol.target}.{operation}",
        }
        body = json.dumps(params).encode()
        name = f"{protocol.service}.{operation}"
        model = _Operation(operation)
        emit(f"before-call.{name}", model=model, params={"headers": headers, "body": body})
        given: Any = self._signed(headers, body)
        prepared = AWSPreparedRequest("POST", self._url, given, body, False)
        _, played = emit(f"before-send.{name}", request=prepared)
        if played is not None:
            status, content = played.status_code, played.content
        else:
            try:
                status, content = kept.ask("POST", given, body)
            except (NotSent, OSError, HTTPException):
                return None
        answer = self._read(operation, status, content)
        if answer is not None:
            emit(f"after-call.{name}", model=model, parsed=answer)
        return answer

    @staticmethod
    def _read(operation: str, status: int, content: bytes) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = json.loads(content)
        except ValueError:
            return None
        if status == 200:
            return answer
        code = str(answer.pop("__type", "")).rpartition("#")[2]
        if status != 400 or code not in _FINAL:
            return None
        said = answer.pop("message", None) or answer.pop("Message", "")
        response: Any = {**answer, "Error": {"Code": code, "Message": said}}
        raise ClientError(response, operation)

    def _connected(self) -> Kept | None:
        """Connections to the service; None where they must go by way of a proxy."""
        if not self._url:
            with self._lock:
                if not self._url:
                    self._kept, self._url = self._connections()
        return self._kept

    def _connections(self) -> tuple[Kept | None, str]:
        # The stack says where its services are; working that out takes botocore a client.
        address = os.environ.get(self._protocol.address) or self._botocore().meta.endpoint_url
        parts = urlsplit(address)
        url = f"{parts.scheme}://{parts.netloc}/"
        limits = self._limits
        if parts.scheme in get_environ_proxies(url):
            return None, url
        timeout = (limits.connect_timeout, limits.read_timeout)
        return Kept(self._trust, url, timeout, limits.connections), url

    def _trust(self) -> ssl.SSLContext:
        given: str | None = self._session.get_config_variable("ca_bundle")
        return trusting(given or get_cert_path(True))

    def _signed(self, headers: dict[str, str], body: bytes) -> dict[str, str]:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        if self._region is None:
            raise NoRegionError
        frozen = credentials.get_frozen_credentials()
        return signed(frozen, self._region, self._protocol.service, headers, body, time.time())

    def _botocore(self) -> Any:
        with self._lock:
            if self._real is None:
                config = Config(
                    connect_timeout=self._limits.connect_timeout,
                    read_timeout=self._limits.read_timeout,
                    max_pool_connections=self._limits.connections,
                    parameter_validation=False,
                    retries={"total_max_attempts": self._limits.attempts - 1, "mode": "standard"},
                )
                self._real = self._session.create_client(self._protocol.service, config=config)
            return self._real
