"""HTTP servers on 127.0.0.1 with werkzeug: a thread per connection, and an orderly shutdown."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

HOST = "127.0.0.1"

BACKLOG = 1_024
"""Maximum number of connections waiting to be accepted; the system drops further ones."""

IDLE = 60
"""Seconds after which a connection without a request is closed."""

PATIENCE = 5.0
"""Seconds that `close` waits for responses in progress."""

MAXIMUM_BODY = 10 * 1024 * 1024
"""Bytes; API Gateway's limit (its quotas, "Payload size")."""

_RAW_HEADERS = "local.headers"
_LENGTH = re.compile(r" *[0-9]+ *")

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Answer = Callable[[Request], Response]


class Reply(Response):
    """A response without a default content type."""

    default_mimetype = None


class Handler(WSGIRequestHandler):
    """Handles one connection, which is closed after its response."""

    timeout = IDLE
    # Headers and body are two packets: the second must not wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def make_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().make_environ()
        # WSGI joins the values of repeated headers; API Gateway does not.
        environ[_RAW_HEADERS] = [
            (name, "".join(value.splitlines())) for name, value in self.headers.items()
        ]
        return environ

    def version_string(self) -> str:
        return "local"

    def handle_expect_100(self) -> bool:
        # werkzeug sends "100 Continue" itself; the base class would send it a second time.
        return True

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        # Without a response nothing else closes the connection.
        self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # The base class quotes the request line, whose query may carry codes and states.
        # After a malformed request line there is no version, and no status line would be sent.
        self.request_version = self.protocol_version
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing: request lines carry codes, states and keys."""


def bind(port: int) -> socket.socket:
    """Return a socket bound to the port; connections are refused until its server starts.

    Raises OSError, OverflowError.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except (OSError, OverflowError):
        bound.close()
        raise
    return bound


class LocalServer(ThreadedWSGIServer):
    """Serves a WSGI application on a bound socket or a free port, with a thread per connection."""

    daemon_threads = True

    def __init__(
        self,
        application: Wsgi,
        bound: socket.socket | None = None,
        handler: type[WSGIRequestHandler] = Handler,
    ) -> None:
        """`bound` is closed: the server duplicates its file descriptor."""
        with bound or bind(0) as listening:
            port = int(listening.getsockname()[1])
            super().__init__(HOST, port, application, handler, fd=listening.fileno())
        self.url = f"http://{HOST}:{port}"
        self._guard = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._accepting: threading.Thread | None = None

    def start(self) -> None:
        """Listen and serve in the background."""
        self.socket.listen(BACKLOG)
        self._accepting = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._accepting.start()

    def close(self) -> None:
        """Free the port, close idle connections and wait for responses in progress."""
        if self._accepting is not None:
            self.shutdown()
            self._accepting.join()
            self._accepting = None
        self.server_close()
        with self._guard:
            left = dict(self._open)
        for connection in left:
            try:
                # Reading ends now; a response in progress can still be sent.
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                continue
        deadline = time.monotonic() + PATIENCE
        for thread in left.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._guard:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._guard:
            self._open.pop(request, None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def application(answer: Answer, maximum_body: int = MAXIMUM_BODY) -> Wsgi:
    """Return a WSGI application that calls a function for each request.

    Reading more than `maximum_body` bytes of a request's body raises RequestEntityTooLarge. An
    HTTPException of the function becomes a response without a body.
    """

    def run(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = maximum_body
        try:
            response = answer(request)
        except HTTPException as error:
            response = Reply(status=error.code)
        return response(environ, start_response)

    return run


def headers(request: Request) -> dict[str, list[str]]:
    """Return the values of each header in their order; names are lower case."""
    values: dict[str, list[str]] = {}
    # A request from another server has WSGI's headers only.
    for name, value in request.environ.get(_RAW_HEADERS, list(request.headers)):
        values.setdefault(name.lower(), []).append(value)
    return values


def raw_target(request: Request) -> str:
    """Return path and query as received, percent-encoded."""
    target = request.environ["RAW_URI"].encode("latin-1").decode()
    # Remove the host of an absolute form; a leading "//" would be parsed as a host.
    return "/" + re.sub(r"^https?://[^/?#]*", "", target).lstrip("/")


def read_body(request: Request) -> bytes:
    """Return the request's body.

    Raises BadRequest where its length is ambiguous or it is truncated, RequestEntityTooLarge.
    """
    received = headers(request)
    lengths, codings = received.get("content-length", []), received.get("transfer-encoding", [])
    # Content-Length beside Transfer-Encoding is ambiguous (RFC 9112, 6.1).
    if codings and (lengths or [coding.strip().lower() for coding in codings] != ["chunked"]):
        raise BadRequest
    if len(set(lengths)) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise BadRequest
    body = request.get_data()
    # werkzeug truncates a chunked body silently at the limit.
    if codings and len(body) == request.max_content_length:
        raise RequestEntityTooLarge
    return body


class Simulator:
    """Base of simulated platforms: an HTTP server on a free port, as a context manager."""

    def __init__(self) -> None:
        def answer(request: Request) -> Response:
            read_body(request)
            return self.answer(request)

        self._server = LocalServer(application(answer, 1024 * 1024))
        self._closing = threading.Event()
        self.url = self._server.url

    def answer(self, request: Request) -> Response:
        """Return the response to a request, whose body has been read; called from many threads."""
        raise NotImplementedError

    def delay(self, seconds: float) -> None:
        """Wait; closing the simulator ends the wait."""
        self._closing.wait(seconds)

    def start(self) -> None:
        """Start serving at `url`."""
        self._server.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._closing.set()
        self._server.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
