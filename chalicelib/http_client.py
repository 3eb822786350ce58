"""HTTP requests to SMS vendors and to WeChat, on requests.

A message must not be sent twice, so there are two kinds of failure: RequestNotSent, and
OutcomeUnknown if the request may have been sent. The class of a library's exception does not
distinguish them: an SSLError may come from the handshake or from the response, an InvalidHeader
from the request or from the response. The method does: urllib3's connection connects in one and
writes in another.

Each request has its own connection. A reused connection that was closed while idle fails in the
same way as one that is closed during the request, and a request of the second kind must not be
repeated.
"""

from __future__ import annotations

import http.client
import io
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NamedTuple

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout
from urllib3.util.ssl_ import create_urllib3_context

if TYPE_CHECKING:
    import socket

# urllib3 logs URLs, even at WARNING; a URL may contain a token, or a phone and its code.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

MAXIMUM_BODY = 65_536
"""Maximum size of a response's body in bytes; the vendors' and WeChat's have a few hundred."""

_MAXIMUM_RECEIVED = 2 * MAXIMUM_BODY
"""Maximum number of bytes received for one request, headers and chunk sizes included."""

TlsContext = Callable[[], ssl.SSLContext]
"""Returns the context of outgoing TLS connections; called for https URLs only."""


class RequestNotSent(Exception):
    """Nothing of the request was sent: no address, no connection, no TLS, or an invalid request.

    The message is the class name of the cause, never its text, which may quote the URL.
    """


class OutcomeUnknown(Exception):
    """The request may have arrived, but there is no response.

    The message is the class name of the cause.
    """


class Timeouts(NamedTuple):
    """Time-outs of a request, in seconds."""

    connect: float = 2.0
    """For connecting, and as many again for the TLS handshake.

    Resolving the server's name, and trying more than one of its addresses, may add to it.
    """
    answer: float = 4.0
    """For the response as a whole, not for each read of it."""


DEFAULT_TIMEOUTS = Timeouts()


class Response(NamedTuple):
    """A response; `body` is None if it was cut off, too large, late, or encoded."""

    status: int
    body: bytes | None


@lru_cache(maxsize=4)
def tls_context(authorities: str) -> ssl.SSLContext:
    """TLS context for outgoing connections, cached: reading the file takes 20 ms of CPU time.

    `authorities` is the path of a PEM file. Raises OSError if it cannot be read.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = True
    context.load_verify_locations(authorities)
    return context


def public_tls_context() -> ssl.SSLContext:
    """TLS context with the certificate authorities that Mozilla publishes."""
    return tls_context(certifi.where())


class HttpClient:
    """Requests to one vendor; safe for several threads.

    No retries, no redirects, no cookies, and nothing from the environment: no proxy, no netrc, no
    other authorities. To use a proxy, an operator sets it as the vendor's URL.
    """

    def __init__(
        self, tls: TlsContext = public_tls_context, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        self._timeouts = timeouts
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._session.headers.update(
            {
                "User-Agent": "login-recovery",
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
        )
        self._session.mount("http://", _Adapter(tls))
        self._session.mount("https://", _Adapter(tls))

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        seconds_left: float | None = None,
    ) -> Response:
        """Send one request once and return its response, whatever the status.

        `seconds_left` bounds connecting and the response together. Raises RequestNotSent or
        OutcomeUnknown, without the library's exception as cause or context.
        """
        failure: Exception
        if seconds_left is not None and seconds_left <= 0:
            raise RequestNotSent("TimeoutError")
        try:
            prepared = self._session.prepare_request(
                requests.Request(method, url, headers=headers, data=body)
            )
        except Exception as error:
            failure = RequestNotSent(_kind(error))
        else:
            try:
                return self._send(prepared, seconds_left)
            except (RequestNotSent, OutcomeUnknown) as error:
                failure = error
            except (InvalidSchema, InvalidURL) as error:
                # Redirects are not followed, so this is the request's own URL.
                failure = RequestNotSent(_kind(error))
            except Exception as error:
                failure = OutcomeUnknown(_kind(error))
        # Raised outside the handlers, so that the exception has no context.
        raise failure

    def _send(self, prepared: requests.PreparedRequest, seconds_left: float | None) -> Response:
        connect, answer = self._timeouts
        total = connect + answer
        if seconds_left is not None:
            total = min(total, seconds_left)
        # The annotations of requests lack urllib3's Timeout, which its documentation allows.
        timeout: Any = Timeout(total=total, connect=connect, read=answer)
        with self._session.send(
            prepared, stream=True, allow_redirects=False, timeout=timeout
        ) as response:
            if response.status_code < 200:
                # An interim response that http.client returns as the final one.
                raise OutcomeUnknown("InterimAnswer")
            return Response(response.status_code, _body(response))


def _body(response: requests.Response) -> bytes | None:
    """Return the body, undecoded; None where it ends early, late, or after MAXIMUM_BODY bytes.

    Content codings are not decoded, since a small body may decode to a large one; the request
    accepts none.
    """
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return None
    body = b""
    try:
        while chunk := response.raw.read(MAXIMUM_BODY + 1 - len(body), decode_content=False):
            body += chunk
            if len(body) > MAXIMUM_BODY:
                return None
    except Exception:
        # The status has been received, which is enough to know the outcome.
        return None
    return body


def _kind(error: BaseException) -> str:
    # urllib3 wraps the system's exception, whose class is more specific.
    return type(error.__cause__ or error).__name__


class _Session(requests.Session):
    def get_redirect_target(self, resp: Any) -> None:
        """Return no target, since requests would first read the whole body without a limit."""


class _BoundedReader(io.RawIOBase):
    """Reads a socket until a deadline and up to a number of bytes.

    A socket's own time-out restarts with each read, so a server could prolong a response without
    end by single bytes or interim responses.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        """`raw` reads the socket, whose time-out is that of the whole response."""
        self._socket = sock
        self._raw = raw
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)
        self._left = _MAXIMUM_RECEIVED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the answer is late")
        self._socket.settimeout(seconds)
        count: int = self._raw.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise OSError("the answer is too large")
        return count

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """A response with bounded size and time, the last one of its connection."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_BoundedReader(sock, self.fp.detach()))

    def begin(self) -> None:
        super().begin()
        # The connection is closed before it returns to the pool, whatever the server's headers.
        self.will_close = True


class _MarkedConnection(HTTPConnection):
    """Raises RequestNotSent for failures before the first byte of the request is written."""

    response_class = _BoundedResponse
    _is_written = False

    def connect(self) -> None:
        failure = None
        try:
            super().connect()
        except Exception as error:
            failure = RequestNotSent(_kind(error))
        if failure is not None:
            raise failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._is_written = False
        failure: Exception | None = None
        try:
            super().request(*args, **kwargs)
        except (ValueError, http.client.HTTPException) as error:
            # A path or a header with invalid characters.
            failure = error if self._is_written else RequestNotSent(_kind(error))
        if failure is not None:
            raise failure

    def send(self, *args: Any) -> None:
        if self.sock is None:
            self.connect()
        self._is_written = True
        super().send(*args)


class _MarkedTlsConnection(_MarkedConnection, HTTPSConnection):
    """As _MarkedConnection over TLS; the handshake is part of `connect`."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _MarkedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _MarkedTlsConnection


class _Adapter(HTTPAdapter):
    """Creates the connections above, with the TLS context of `tls`."""

    def __init__(self, tls: TlsContext) -> None:
        self._tls = tls
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            pool["ssl_context"] = self._tls_context()
        return host, pool

    def _tls_context(self) -> ssl.SSLContext:
        kind = ""
        try:
            return self._tls()
        except OSError as error:
            kind = _kind(error)
        raise RequestNotSent(kind)

    def cert_verify(self, *_: Any) -> None:
        """Leave the pool unchanged: requests would read the authorities for each connection.

        Certificates are required by the pool's key (`cert_reqs`) and by the context.
        """
