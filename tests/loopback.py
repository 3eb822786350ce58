"""A server of the test's own on 127.0.0.1, for what speaks HTTP to somebody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, bytes] | None
"""A status and a body; None closes the connection without an answer."""


@dataclass
class Server:
    """A running server: its address, and what it has received."""

    url: str
    received: list[Received] = field(default_factory=list)


@contextmanager
def serving(reply: Callable[[Received], Reply]) -> Iterator[Server]:
    """Answer every request by `reply` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: the second would wait for the first one's receipt.
        disable_nagle_algorithm = True
        wbufsize = -1

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            request = Received(
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(size),
            )
            server.received.append(request)
            answer = reply(request)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", server.url + "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Server(f"http://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
