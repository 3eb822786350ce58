"""One pynamodb connection to DynamoDB for all models, over botocore's own client."""

from __future__ import annotations

import json
import logging
import threading
import zlib
from functools import cached_property
from typing import Any

from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ChecksumError
from botocore.session import Session
from pynamodb.connection import Connection as PynamodbConnection

from ..botocore_session import new_session

log = logging.getLogger(__name__)

CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 3
POOL = 32

_CONFIG = Config(
    # botocore composes its own User-Agent for each request, a quarter of the client's CPU time.
    user_agent="login-recovery",
)


class UnreadableAnswer(BotoCoreError):
    """A response with a status of success is not a JSON object."""

    fmt = "the answer of DynamoDB is no JSON object"


class Connection(PynamodbConnection):
    """The connection of all models.

    An attempt ends after 3 s at most, and all attempts of a call within the 10 s that a browser
    waits.
    """

    def __init__(self) -> None:
        """Configure the client without making it."""
        super().__init__(
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            retry_configuration={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL,
        )
        self._making = threading.Lock()

    @cached_property
    def session(self) -> Session:
        """Return the botocore session of this connection's client."""
        session = new_session()
        session.set_default_client_config(_CONFIG)
        session.register("before-parse.dynamodb", _check_body)
        session.register("after-call.dynamodb", _check_answer)
        return session

    @property
    def client(self) -> BaseClient:  # type: ignore[override]
        """Return botocore's client, made once: one for each thread would split the pool."""
        with self._making:
            return super().client

    def prepare(self) -> None:
        """Make the client now, without a call over the network.

        A failure is logged. Each later call then tries to make the client and raises the failure,
        which `dynamo.translate_errors` turns into Unavailable.
        """
        try:
            _ = self.client
        except (BotoCoreError, OSError, ValueError) as error:
            log.error("no client for DynamoDB: %s", type(error).__name__)


_UNREADABLE = "Unreadable"


def _check_body(**event: Any) -> None:
    """Replace a body that is not a JSON object, before botocore parses it.

    botocore then still retries an error by its status, and a wrong checksum by its own rule.
    """
    response = event["response_dict"]
    try:
        readable = isinstance(json.loads(response["body"]), dict)
    except ValueError:
        readable = False
    if not readable:
        response["body"] = b"{}"
        # botocore merges it into the parsed response.
        event["customized_response_dict"][_UNREADABLE] = True


def _check_answer(**event: Any) -> None:
    """Raise for responses that botocore wrongly returns as successes.

    A body that is not a JSON object does not come from DynamoDB, but botocore parses it as an empty
    response, which means "no such item". In `standard` mode botocore retries after a wrong
    `x-amz-crc32`, but returns the response of the last attempt in spite of it.
    """
    response = event["http_response"]
    if response.status_code >= 300:
        return
    if event["parsed"].get(_UNREADABLE):
        raise UnreadableAnswer
    expected = response.headers.get("x-amz-crc32")
    if expected is None:
        return
    actual = str(zlib.crc32(response.content))
    if actual != expected:
        raise ChecksumError(
            checksum_type="crc32", expected_checksum=expected, actual_checksum=actual
        )
