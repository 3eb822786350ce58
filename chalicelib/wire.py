"""One HTTP request by the standard library, on a connection of its own or on one that is kept.

What a failure means is for who asks to say: gateways and WeChat's client want to know whether anything
of a message has left, which http.client shows, since it connects in one step and sends in the next.
One SMS takes a third of the processor that it took by `requests`, a kept connection half of that of
urllib3 (docs/speed.md).
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

from urllib3.util.wait import wait_for_read

MAXIMUM_ANSWER = 65_536
"""Bytes of an answer that are read; those of SMS vendors and of WeChat have a few hundred."""

Trust = Callable[[], ssl.SSLContext]
"""Whose certificates are taken; asked where an address wants TLS."""


class NotSent(Exception):
    """Nothing of the request has left: no address, no connection, no TLS, or no request at all.

    It carries the kind of what went wrong and never its words, which may quote the address.
    """


@contextmanager
def sent(
    trust: Trust,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: tuple[float, float],
) -> Iterator[http.client.HTTPResponse]:
    """The head of the answer to one request; `timeout` is to connect and to wait, in seconds.

    The connection is not one that was kept since the last request: such a one may have died
    meanwhile, and a message lost on it could not be told from one that the other side took. Raises
    NotSent; once something has left, OSError or http.client.HTTPException.
    """
    with closing(_connection(trust, url, timeout[0])) as connection:
        _connect(connection, timeout[1])
        given = {"User-Agent": "login-recovery", "Connection": "close", **headers}
        try:
            connection.request(method, _target(url), body, given)
        except (ValueError, http.client.InvalidURL) as error:
            # A header or a path that cannot be written; all of them are before the first byte is.
            raise NotSent(type(error).__name__) from None
        with connection.getresponse() as response:
            yield response


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


def content(response: http.client.HTTPResponse, is_late: Callable[[], bool]) -> bytes | None:
    """The answer's body; None where it is larger than MAXIMUM_ANSWER, or late before its end.

    Without the latter a server that trickles would hold the person for as long as it likes.
    """
    body = b""
    while chunk := response.read1(MAXIMUM_ANSWER):
        body += chunk
        if len(body) > MAXIMUM_ANSWER or is_late():
            return None
    return body


class Kept:
    """Connections to one server, kept from request to request; safe for several threads.

    For requests that somebody may repeat: one on a connection that dies at that moment is lost.
    """

    def __init__(self, trust: Trust, url: str, timeout: tuple[float, float], most: int) -> None:
        """At most so many wait for the next request; `timeout` as for `sent`."""
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
