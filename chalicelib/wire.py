"""HTTP requests to AWS over kept connections, by the standard library."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from urllib3.util.wait import wait_for_read

Trust = Callable[[], ssl.SSLContext]
"""Returns the context of TLS connections."""


class NotSent(Exception):
    """Nothing of the request has left: no address, no connection, no TLS, or no request at all.

    It carries the kind of what went wrong and never its words, which may quote the address.
    """


def _connection(trust: Trust, url: str, timeout: float) -> http.client.HTTPConnection:
    """What will connect to an address. Raises NotSent where it is none, or nobody can be trusted."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise http.client.InvalidURL
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=trust()
        )
    except (OSError, ValueError, http.client.InvalidURL) as error:
        raise NotSent(type(error).__name__) from None


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connect(connection: http.client.HTTPConnection, waiting: float) -> None:
    """Connect within the connection's own time-out, and wait so long for each answer."""
    try:
        connection.connect()
    except (OSError, ValueError) as error:
        raise NotSent(type(error).__name__) from None
    connection.sock.settimeout(waiting)


class Kept:
    """Connections to one server, kept from request to request; safe for several threads.

    For requests that somebody may repeat: one on a connection that dies at that moment is lost.
    """

    def __init__(self, trust: Trust, url: str, timeout: tuple[float, float], most: int) -> None:
        """At most so many wait for the next request; `timeout` is to connect and to wait, in seconds."""
        self._trust = trust
        self._url = url
        self._target = _target(url)
        self._timeout = timeout
        self._most = most
        self._idle: list[http.client.HTTPConnection] = []

    def ask(self, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer.

        Raises NotSent; once something has left, OSError or http.client.HTTPException.
        """
        connection = self._connected()
        try:
            connection.request(method, self._target, body, headers)
            with connection.getresponse() as response:
                answer = response.read()
            kept = not response.will_close and len(self._idle) < self._most
        except BaseException:
            connection.close()
            raise
        if kept:
            self._idle.append(connection)
        else:
            connection.close()
        return response.status, answer

    def _connected(self) -> http.client.HTTPConnection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                # There is nothing to read before a question, unless the server has hung up.
                if not wait_for_read(connection.sock, timeout=0):
                    return connection
                connection.close()
        fresh = _connection(self._trust, self._url, self._timeout[0])
        _connect(fresh, self._timeout[1])
        return fresh
