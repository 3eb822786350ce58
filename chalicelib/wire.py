"""One HTTP request on a connection of its own, and an answer that is read only so far.

What a failure means for a message is for the gateways and for WeChat's client to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from .trust import trusting

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

MAXIMUM_ANSWER = 65_536
"""Bytes of an answer that are read; those of SMS vendors and of WeChat have a few hundred."""


@contextmanager
def sent(
    session: Callable[[], requests.Session], request: requests.Request, timeout: tuple[float, float]
) -> Iterator[requests.Response]:
    """The head of the answer to one request; `timeout` is to connect and to wait, in seconds.

    The session gives headers and TLS trust. The connection is not one that was kept since the last
    request: such a one may have died meanwhile, and a message lost on it could not be told from one
    that the other side took. Raises what requests and urllib3 raise.
    """
    given = session()
    # Whatever the session says, the certificate is checked.
    verify = given.verify or True
    request.headers = {**request.headers, "Connection": "close"}
    with (
        closing(_adapter(verify)) as connection,
        connection.send(
            given.prepare_request(request), stream=True, timeout=timeout, verify=verify
        ) as response,
    ):
        yield response


def _adapter(verify: bool | str) -> HTTPAdapter:
    """What connects, with trust that is read already where it is the usual one."""
    from requests.adapters import HTTPAdapter

    return _trusting()() if verify is True else HTTPAdapter()


@cache
def _trusting() -> type[HTTPAdapter]:
    from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_context=trusting(DEFAULT_CA_BUNDLE_PATH), **kwargs)

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
            # Or urllib3 would read the same authorities into the context once more.
            conn.ca_certs = None

    return Trusting


def content(response: requests.Response, is_late: Callable[[], bool]) -> bytes | None:
    """The answer's body; None where it is larger than MAXIMUM_ANSWER, or late before its end.

    Without the latter a server that trickles would hold the person for as long as it likes.
    """
    body = b""
    while chunk := response.raw.read1(MAXIMUM_ANSWER, decode_content=True):
        body += chunk
        if len(body) > MAXIMUM_ANSWER or is_late():
            return None
    return body
