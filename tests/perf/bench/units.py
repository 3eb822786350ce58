"""Request units of DynamoDB, counted on the wire, whatever the client is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import requests

from tests.support import http_server

_READS = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


@dataclass(frozen=True)
class Units:
    """Read and write request units, and round trips."""

    read: float = 0
    write: float = 0
    calls: int = 0

    def minus(self, earlier: Units) -> Units:
        """Return the difference to an earlier count."""
        return Units(
            self.read - earlier.read, self.write - earlier.write, self.calls - earlier.calls
        )


class Counter:
    """A proxy of the DynamoDB at `url`, which counts and records requests."""

    def __init__(self, dynamodb: str) -> None:
        self._dynamodb = dynamodb
        self._sessions = threading.local()
        self._lock = threading.Lock()
        self.url = ""
        self.units = Units()
        self.recorded: list[tuple[str, bytes]] | None = None
        """Operation and body of each call from now on; None where nobody reads them."""

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            self._sessions.session.trust_env = False
        session: requests.Session = self._sessions.session
        return session

    def reply(self, received: http_server.Received) -> http_server.Reply:
        """Return DynamoDB's own response."""
        operation = received.headers.get("x-amz-target", "").rpartition(".")[2]
        body = received.body
        if self.recorded is not None:
            self.recorded.append((operation, body))
        counted = operation in _READS or operation in _WRITES
        if counted:
            body = json.dumps({**json.loads(body), "ReturnConsumedCapacity": "TOTAL"}).encode()
        passed = ("x-amz-target", "x-amz-date", "authorization", "content-type")
        headers = {name: received.headers[name] for name in passed if name in received.headers}
        answer = self._session().post(self._dynamodb, data=body, headers=headers, timeout=60)
        if counted:
            used = consumed(json.loads(body), answer.json(), operation)
            with self._lock:
                read = used if operation in _READS else 0
                self.units = Units(
                    self.units.read + read, self.units.write + used - read, self.units.calls + 1
                )
        return answer.status_code, answer.content


def consumed(request: dict[str, Any], answer: dict[str, Any], operation: str) -> float:
    """Return the request units of a call: those of DynamoDB Local's answer, corrected.

    A transaction has four units for each table in the answer; it is billed as two writes of each item, of
    which a put states its size and others are taken to be of no more than 1 KB. A failure has none,
    though a write whose condition does not hold is billed as the write would have been. A read that
    finds nothing has none either, and is billed as one of the smallest item.
    """
    if operation == "TransactWriteItems":
        return sum(2.0 * _written(item) for item in request["TransactItems"])
    told = answer.get("ConsumedCapacity")
    if told is None:
        return 1.0 if operation in _WRITES else 0.0
    units = sum(
        float(each["CapacityUnits"]) for each in (told if isinstance(told, list) else [told])
    )
    if operation == "BatchGetItem":
        return units + _missing(request, answer)
    return max(units, _least_read(request)) if operation in _READS else units


def _least_read(request: dict[str, Any]) -> float:
    """Return the units of a read of one small item, of a request or of one table of a batch."""
    return 1.0 if request.get("ConsistentRead") else 0.5


def _missing(request: dict[str, Any], answer: dict[str, Any]) -> float:
    """Return the units of those keys of a BatchGetItem that have no item."""
    found, left = answer.get("Responses", {}), answer.get("UnprocessedKeys", {})
    return sum(
        _least_read(of)
        * (len(of["Keys"]) - len(found.get(table, [])) - len(left.get(table, {}).get("Keys", [])))
        for table, of in request["RequestItems"].items()
    )


def _written(item: dict[str, Any]) -> int:
    return ceil(_size(item["Put"]["Item"]) / 1_024) if "Put" in item else 1


def _size(item: dict[str, Any]) -> int:
    # Each number a little too large; none of ours is near an edge.
    return sum(len(name.encode()) + len(json.dumps(value)) for name, value in item.items())


@contextmanager
def counting(dynamodb: str) -> Iterator[Counter]:
    """Run a counter in front of a DynamoDB until the block ends."""
    counter = Counter(dynamodb)
    with http_server.serving(counter.reply) as server:
        counter.url = server.url
        yield counter
