"""pynamodb's connection over the service's own way to DynamoDB."""

from __future__ import annotations

from functools import cached_property

from pynamodb.connection import Connection as PynamodbConnection

from ..aws import DYNAMODB, JsonClient, Limits

# The time-outs leave room for a retry within the 10 s that a person, and 5 s that WeChat, waits.
LIMITS = Limits(connect_timeout=1, read_timeout=2, attempts=3, connections=32)


class Connection(PynamodbConnection):
    """One for all models of a process: each would find AWS and shake hands with it anew."""

    @cached_property
    def client(self) -> JsonClient:  # type: ignore[override]
        """What takes pynamodb's calls."""
        return JsonClient(DYNAMODB, LIMITS)
