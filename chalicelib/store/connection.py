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
    # A fixed one: botocore composes its own anew for each request, a quarter of the client's work.
    user_agent="login-recovery",
)


class UnreadableAnswer(BotoCoreError):
    """An answer with a status of success is no JSON object."""

    fmt = "the answer of DynamoDB is no JSON object"


class Connection(PynamodbConnection):
    """The connection of all models.

    Time-outs and attempts keep a call below the 10 s that a person waits: each attempt ends after
    3 s at most.
    """

    def __init__(self) -> None:
        super().__init__(
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            retry_configuration={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL,
        )
        self._making = threading.Lock()

    @cached_property
    def session(self) -> Session:
        """The botocore session of this connection's client."""
        session = new_session()
        session.set_default_client_config(_CONFIG)
        session.register("before-parse.dynamodb", _check_body)
        session.register("after-call.dynamodb", _check_answer)
        return session

    @property
    def client(self) -> BaseClient:  # type: ignore[override]
        """botocore's client, made once: threads that make one each would split the pool."""
        with self._making:
            return super().client

    def prepare(self) -> None:
        """Make the client now, without a call over the network.

        Where that fails, each request tries again and is answered that the store is unavailable.
        """
        try:
            _ = self.client
        except (BotoCoreError, OSError, ValueError) as error:
            log.error("no client for DynamoDB: %s", type(error).__name__)


_UNREADABLE = "Unreadable"


def _check_body(**event: Any) -> None:
    """Replace a body that is no JSON object, before botocore reads attributes of it.

    An error is then still repeated by its status, and a wrong checksum as such.
    """
    response = event["response_dict"]
    try:
        readable = isinstance(json.loads(response["body"]), dict)
    except ValueError:
        readable = False
    if not readable:
        response["body"] = b"{}"
        # Merged into the parsed answer.
        event["customized_response_dict"][_UNREADABLE] = True


def _check_answer(**event: Any) -> None:
    """Refuse what botocore returns as a success though it is none.

    A body that is no JSON object comes from something else than DynamoDB; botocore parses it as an
    empty answer: "no such item". And in `standard` mode botocore repeats on a wrong `x-amz-crc32`,
    but returns the answer of the last attempt in spite of it.
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
