"""A server with scripted responses in the place of DynamoDB, and calls of the store to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.store import dynamo
from chalicelib.store.dynamo import read, transact, update
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import bind
from chalicelib.store.pynamodb_internals import Transaction

KEY = "code#11010148"
ITEM = {"id": {"S": KEY}, "expires_at": {"N": "1"}, "digest": {"S": "d"}}
FOUND = json.dumps({"Item": ITEM}).encode()
UPDATED = json.dumps({"Attributes": ITEM}).encode()


def answer(body: bytes, status: int = 200, *, length: int | None = None, **headers: str) -> bytes:
    """Return an HTTP response; `length` is the declared Content-Length."""
    lines = [
        f"HTTP/1.1 {status} Scripted",
        "Content-Type: application/x-amz-json-1.0",
        f"Content-Length: {len(body) if length is None else length}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def refusal(code: str, status: int = 400, **members: Any) -> bytes:
    """Return an error response as DynamoDB sends it."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **members}
    return answer(json.dumps(body).encode(), status)


class Script:
    """A server with one answer for each request; the last one is repeated for ever.

    An empty answer closes the connection, also before the next request where `closes` is set.
    """

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self._closes = closes
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(accepted)
            threading.Thread(target=self._serve, args=[accepted], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, accepted.makefile("rb") as stream:
            while line := stream.readline():
                headers: dict[str, str] = {}
                while (header := stream.readline().decode("latin-1").strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                with self._guard:
                    self.requests.append((line.decode("latin-1"), headers, body))
                    sent = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if not sent:
                    return
                accepted.sendall(sent)
                if self._closes:
                    return

    def bodies(self) -> list[Any]:
        """Return the requests' bodies, parsed."""
        return [json.loads(body) for _, _, body in self.requests]

    def close(self) -> None:
        """Close the listener and every connection."""
        with suppress(OSError):
            # Otherwise the thread that waits in accept() keeps the port open for one more.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for accepted in self._open:
            accepted.close()


Serve = Callable[..., Script]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server with a script, and connect a new client of the models to it."""
    scripts: list[Script] = []
    monkeypatch.setattr(dynamo, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(dynamo, "_LONGEST_PAUSE", 0.002)

    def start(*answers: bytes, path: str = "", closes: bool = False) -> Script:
        script = Script(*answers, closes=closes)
        scripts.append(script)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", script.url + path)
        bind("recovery")
        return script

    yield start
    for script in scripts:
        script.close()
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    bind("recovery")


@contextmanager
def unavailable() -> Iterator[None]:
    """Assert that the block raises Unavailable for the store."""
    with pytest.raises(Unavailable) as raised:
        yield
    assert raised.value.dependency == "store"


def get() -> str | None:
    item = read(CodeItem, KEY)
    return None if item is None else item.digest


def write(is_done: Callable[[CodeItem], bool] = lambda _: False) -> str | None:
    return update(
        CodeItem(KEY), [CodeItem.digest.set("d")], CodeItem.digest.does_not_exist(), is_done
    ).digest


def write_together() -> None:
    def build(transaction: Transaction) -> None:
        transaction.update(CodeItem(KEY), [CodeItem.digest.set("d")])

    transact(build, CodeItem)


LOST = answer(b"{}", 500)
"""A server error, after which botocore repeats the call."""
