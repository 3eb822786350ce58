"""HTTP servers on 127.0.0.1 that many may call at once, and that leave nothing behind."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BufferedIOBase
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HOST = "127.0.0.1"
IDLE = 60
"""Seconds after which a connection without a request is closed."""

MAXIMUM_BODY = 10 * 1024 * 1024
"""Bytes. What API Gateway takes."""

_DRAIN = 32 * 1024 * 1024
_LINE = 1024


class BodyRefused(Exception):
    """The body cannot be read; `status` is the answer, after which the connection must close."""

    def __init__(self, status: int) -> None:
        super().__init__(f"body refused: {status}")
        self.status = status


def read_body(headers: Message, stream: BufferedIOBase, limit: int = MAXIMUM_BODY) -> bytes:
    """The body of a request, of a declared length or in chunks. Raises BodyRefused."""
    coding = headers.get_all("Transfer-Encoding", [])
    lengths = headers.get_all("Content-Length", [])
    if coding:
        # Two ways to tell where the body ends are one too many (RFC 9112, 6.1).
        if lengths or [value.strip().lower() for value in coding] != ["chunked"]:
            raise BodyRefused(400)
        return _chunks(stream, limit)
    if not lengths:
        return b""
    if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].strip().isdigit()):
        raise BodyRefused(400)
    length = int(lengths[0])
    if length > limit:
        _drain(stream, length)
        raise BodyRefused(413)
    body = stream.read(length)
    if len(body) < length:
        raise BodyRefused(400)
    return body


def _chunks(stream: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while True:
        line = stream.readline(_LINE)
        size_text = line.partition(b";")[0].strip()
        try:
            size = int(size_text, 16)
        except ValueError:
            raise BodyRefused(400) from None
        if not line.endswith(b"\n") or size < 0 or not size_text.isalnum():
            raise BodyRefused(400)
        if len(body) + size > limit:
            raise BodyRefused(413)
        if size == 0:
            break
        chunk = stream.read(size)
        if len(chunk) < size or stream.readline(_LINE).strip():
            raise BodyRefused(400)
        body += chunk
    while stream.readline(_LINE).strip():
        pass
    return bytes(body)


def _drain(stream: BufferedIOBase, length: int) -> None:
    # A client that is still sending would see a broken connection in place of the answer.
    left = min(length, _DRAIN)
    while left > 0:
        piece = stream.read(min(left, 65_536))
        if not piece:
            return
        left -= len(piece)


def bind(port: int) -> socket.socket:
    """A socket that holds the port and refuses callers until its server starts. Raises OSError."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


class LoopbackServer(ThreadingMixIn, HTTPServer):
    """A threaded server on a bound socket; a thread serves one connection."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self, bound: socket.socket, handler: Callable[..., BaseHTTPRequestHandler]
    ) -> None:
        super().__init__(bound.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        # HTTPServer asks the name service for its own name, which may take seconds.
        self.server_name, self.server_port = HOST, int(bound.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def start(self) -> None:
        """Listen, and answer in the background."""
        self.server_activate()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering, close every connection and free the port."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        self.server_close()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A caller that went away is not worth a traceback.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection, kept alive. Subclasses answer in `respond`."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE
    # Head and body leave in one packet; two of them would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def respond(self) -> None:
        raise NotImplementedError

    def parse_request(self) -> bool:
        # Any method reaches `respond`, which knows which ones there are.
        if not super().parse_request():
            return False
        setattr(self, f"do_{self.command}", self.respond)
        return True

    def version_string(self) -> str:
        return "local-twin"

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # What the base class says in HTML repeats the request line.
        self.close_connection = True
        self.reply(code, {})

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a request line carries codes and states in its query."""

    def reply(
        self,
        status: int,
        headers: Mapping[str, str | list[str]],
        body: bytes = b"",
    ) -> None:
        """Send an answer, whose length is added; to HEAD its head alone."""
        # What could not be read as a request has no version, and would get no status line.
        self.request_version = self.request_version.replace("HTTP/0.9", "HTTP/1.1")
        self.send_response(status)
        for name, value in headers.items():
            for single in [value] if isinstance(value, str) else value:
                self.send_header(name, single)
        bodiless = status in (204, 304)
        if not bodiless:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(body)


@dataclass(frozen=True)
class Call:
    """A request to a simulator. Header names are lower case; of repeated parameters the last counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A simulator's answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Simulator:
    """A loopback server that answers calls by a function; a context manager."""

    def __init__(self) -> None:
        outer = self

        class Handler(Connection):
            def respond(self) -> None:
                try:
                    body = read_body(self.headers, self.rfile, 1024 * 1024)
                except BodyRefused as refused:
                    self.close_connection = True
                    self.reply(refused.status, {})
                    return
                parts = urlsplit(self.path)
                answer = outer.answer(
                    Call(
                        self.command,
                        parts.path,
                        dict(parse_qsl(parts.query, keep_blank_values=True)),
                        {name.lower(): value for name, value in self.headers.items()},
                        body,
                    )
                )
                self.reply(answer.status, dict(answer.headers), answer.body)

        self._server = LoopbackServer(bind(0), Handler)
        self.url = self._server.url

    def answer(self, call: Call) -> Answer:
        """The answer to one call; called from many threads."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to answer at `url`."""
        self._server.start()

    def close(self) -> None:
        """Stop, and free the port."""
        self._server.close()

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
