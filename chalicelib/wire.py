"""One HTTP request on a connection of its own, and an answer that is read only so far.

What a failure means for a message is for the gateways and for WeChat's client to say. They ask
whether anything of the request has left, which http.client shows at once: it connects in one step
and sends in the next. Sending one SMS so takes a third of the processor that `requests` takes.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

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
    connecting, waiting = timeout
    connection, target = _connection(trust, url, connecting)
    with closing(connection):
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            raise NotSent(type(error).__name__) from None
        connection.sock.settimeout(waiting)
        given = {"User-Agent": "login-recovery", "Connection": "close", **headers}
        try:
            connection.request(method, target, body, given)
        except (ValueError, http.client.InvalidURL) as error:
            # A header or a path that cannot be written; all of them are before the first byte is.
            raise NotSent(type(error).__name__) from None
        with connection.getresponse() as response:
            yield response


def _connection(trust: Trust, url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    """What will connect to an address, and the address's path and query."""
    try:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise http.client.InvalidURL
        if parts.scheme == "http":
            plain = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
            return plain, target
        secured = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=trust()
        )
        return secured, target
    except (ValueError, http.client.InvalidURL) as error:
        raise NotSent(type(error).__name__) from None


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
