"""Servers that answer a request badly, and the result that a client must have of each.

The servers speak on real sockets. No case depends on timing for its outcome: a short time-out is set
where the server never answers, and a long one everywhere else.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chalicelib.http_client import MAXIMUM_BODY, OutcomeUnknown, RequestNotSent, Response, Timeouts

PATIENT = Timeouts(30.0, 30.0)
PATIENCE = 60
"""Seconds after which a server gives up; every client under test ends long before."""


@dataclass
class RawServer:
    """A server below HTTP."""

    address: str = ""
    accepted: int = 0
    """Connections accepted."""
    received: list[bytes] = field(default_factory=list)
    """The requests read whole."""
    closing: threading.Event = field(default_factory=threading.Event)
    gave_up: bool = False
    """Whether a client waited for so long that the server ended the exchange itself."""

    def hold(self) -> None:
        """Send nothing until the test closes the server."""
        self.gave_up = not self.closing.wait(PATIENCE)

    def read(self, connection: socket.socket) -> None:
        """Read one request with all of its body."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(connection)
        head, _, body = received.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        while len(body) < size:
            body += _some(connection)
        self.received.append(head + b"\r\n\r\n" + body)


Behaviour = Callable[[RawServer, socket.socket], None]


def _some(connection: socket.socket) -> bytes:
    if not (read := connection.recv(65_536)):
        raise ConnectionError("the client has closed the connection")
    return read


@contextmanager
def raw_server(behave: Behaviour) -> Iterator[RawServer]:
    """Handle each connection by `behave`, in its own thread."""
    server = RawServer()
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(30)
            behave(server, connection)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.accepted += 1
                threads.append(threading.Thread(target=handle, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server.address = f"127.0.0.1:{listener.getsockname()[1]}"
        accepting = threading.Thread(target=serve, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.closing.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(30)


def answering(answer: bytes) -> Behaviour:
    """Answer a request with these bytes, and close."""

    def behave(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(answer)
        # Closing with bytes unread would reset the connection.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    return behave


def ok(body: bytes) -> bytes:
    """Return a 200 with a body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def over_tls(certificate: Path, behave: Behaviour) -> Behaviour:
    """Return the same behaviour inside TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def speak(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            behave(server, secured)

    return speak


def reset(connection: socket.socket) -> None:
    """Close a connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # A TLS socket's own close would say goodbye first.
    socket.socket.close(connection)


def _silence(server: RawServer, _: socket.socket) -> None:
    server.hold()


def _reset_at_once(_: RawServer, connection: socket.socket) -> None:
    reset(connection)


def _reset_unread(_: RawServer, connection: socket.socket) -> None:
    # A reset before the first byte arrives may find the client still connecting.
    connection.recv(1, socket.MSG_PEEK)
    reset(connection)


def _close_at_once(_: RawServer, __: socket.socket) -> None:
    """Return, and the connection is closed."""


def _garbage(_: RawServer, connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"220 mail ready\r\n")


def _read_then_silence(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    server.hold()


def _read_then_reset(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    reset(connection)


def _read_then_break_tls(server: RawServer, secured: socket.socket) -> None:
    server.read(secured)
    # A record that was never encrypted: reading it fails within TLS, as a bad handshake does.
    socket.socket.sendall(_below(secured), b"\x17\x03\x03\x00\x20" + b"x" * 32)


def _below(secured: socket.socket) -> socket.socket:
    return socket.socket(fileno=socket.dup(secured.fileno()))


def endlessly(head: bytes, piece: bytes, every: float = 0) -> Behaviour:
    """Answer with a head and the same piece over and over, one in `every` seconds."""

    def behave(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(head)
        ends_at = time.monotonic() + PATIENCE
        while not server.closing.wait(every):
            if time.monotonic() > ends_at:
                server.gave_up = True
                return
            connection.sendall(piece)

    return behave


@dataclass(frozen=True)
class Case:
    """A server, and the result that a request to it must have."""

    name: str
    behave: Behaviour
    expected: type[RequestNotSent] | type[OutcomeUnknown] | Response
    tls: bool = False
    """Whether the server has a certificate that the client accepts; `behave` is inside TLS."""
    https: bool = False
    """Whether the address is https although the server speaks no TLS."""
    timeouts: Timeouts = PATIENT

    @contextmanager
    def running(self, certificate: Path) -> Iterator[tuple[str, RawServer]]:
        """Yield the server's address, and the server."""
        behave = over_tls(certificate, self.behave) if self.tls else self.behave
        with raw_server(behave) as server:
            scheme = "https" if self.tls or self.https else "http"
            yield f"{scheme}://{server.address}", server

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


_NO_CONNECTION = Timeouts(0.2, 30.0)
_NO_ANSWER = Timeouts(30.0, 0.2)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
_BOMB = gzip.compress(bytes(30 * MAXIMUM_BODY))
_LARGE = b"HTTP/1.1 %s\r\nContent-Length: 99999999\r\n%s\r\n"

UNSENT = [
    Case(
        "TLS handshake without an answer",
        _silence,
        RequestNotSent,
        https=True,
        timeouts=_NO_CONNECTION,
    ),
    Case("TLS handshake reset", _reset_at_once, RequestNotSent, https=True),
    Case("TLS handshake closed", _close_at_once, RequestNotSent, https=True),
    Case("garbage for a TLS handshake", _garbage, RequestNotSent, https=True),
]
UNANSWERED = [
    Case("no answer", _read_then_silence, OutcomeUnknown, timeouts=_NO_ANSWER),
    Case("no answer over TLS", _read_then_silence, OutcomeUnknown, tls=True, timeouts=_NO_ANSWER),
    Case("reset before the request is read", _reset_unread, OutcomeUnknown),
    Case("reset after the request", _read_then_reset, OutcomeUnknown),
    Case("reset after the request over TLS", _read_then_reset, OutcomeUnknown, tls=True),
    Case("closed after the request", answering(b""), OutcomeUnknown),
    Case("TLS broken after the request", _read_then_break_tls, OutcomeUnknown, tls=True),
    Case("no HTTP", answering(b"220 mail ready\r\n\r\n"), OutcomeUnknown),
    Case("cut status", answering(b"HTTP/1.1 20"), OutcomeUnknown),
    Case(
        "two lengths",
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
        OutcomeUnknown,
    ),
    Case("endless head", endlessly(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), OutcomeUnknown),
    Case(
        "trickling head",
        endlessly(b"HTTP/1.1 200 OK\r\nX: ", b"x", every=0.02),
        OutcomeUnknown,
        timeouts=_NO_ANSWER,
    ),
    Case("endless 100", endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), OutcomeUnknown),
    Case(
        "trickling 100",
        endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every=0.02),
        OutcomeUnknown,
        timeouts=_NO_ANSWER,
    ),
    # What follows would have been the answer.
    Case("103", answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"{}")), OutcomeUnknown),
]
UNREADABLE = [
    # The status is whole, and that is what counts.
    Case("cut head", answering(b"HTTP/1.1 200 OK\r\nContent-Le"), Response(200, b"")),
    Case("cut body", answering(ok(b"{}").replace(b": 2", b": 9")), Response(200, None)),
    Case("cut chunks", answering(_CHUNKED + b"9\r\n{}"), Response(200, None)),
    Case("chunks of no size", answering(_CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), Response(200, None)),
    Case("endless chunks", endlessly(_CHUNKED, b"1\r\n \r\n" * 999), Response(200, None)),
    Case("large body", endlessly(_LARGE % (b"200 OK", b""), b" " * 9_999), Response(200, None)),
    Case("gzip", answering(_GZIP % 3 + b"abc"), Response(200, None)),
    Case("gzip bomb", answering(_GZIP % len(_BOMB) + _BOMB), Response(200, None)),
    Case(
        "cut 503", answering(b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n{"), Response(503, None)
    ),
    Case(
        "large redirect",
        endlessly(_LARGE % (b"302 Found", b"Location: http://127.0.0.1:1/\r\n"), b" " * 9_999),
        Response(302, None),
    ),
]
TRICKLING = [
    Case(
        "trickling body",
        endlessly(_LARGE % (b"200 OK", b""), b" ", every=0.02),
        Response(200, None),
        # The head, too, has to come within this time.
        timeouts=Timeouts(30.0, 3.0),
    )
]
CASES = [*UNSENT, *UNANSWERED, *UNREADABLE, *TRICKLING]
