"""The HTTP client: whether a request was sent, bounded reading, and failures without the address."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import traceback
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import http_client
from chalicelib.http_client import (
    MAXIMUM_BODY,
    HttpClient,
    OutcomeUnknown,
    RequestNotSent,
    Response,
    Timeouts,
    _BoundedReader,
    public_tls_context,
    tls_context,
)
from tests.support.http_cases import (
    CASES,
    PATIENCE,
    PATIENT,
    UNSENT,
    Case,
    RawServer,
    answering,
    ok,
    over_tls,
    raw_server,
)
from tests.support.http_server import self_signed, serving

TOKEN = "canary-token"
PATH = f"/path?access_token={TOKEN}"
HEADERS = {"X-Canary": TOKEN}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "vendor.pem")


def _post(client: HttpClient, url: str) -> Response | Exception:
    """Return the response or the exception; assert that the exception holds nothing of the request."""
    try:
        return client.request("POST", url, HEADERS, TOKEN.encode())
    except (RequestNotSent, OutcomeUnknown) as error:
        failure = error
    assert (failure.__cause__, failure.__context__) == (None, None)
    assert TOKEN not in "".join(traceback.format_exception(failure)) + repr(failure)
    assert str(failure).isidentifier()
    return failure


def _matches(result: Response | Exception, expected: object) -> bool:
    return result == expected or type(result) is expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_server(case: Case, certificate: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One connection, at most one request, the expected result in time, and no secret in the log."""
    caplog.set_level(logging.DEBUG)
    client = HttpClient(lambda: tls_context(str(certificate)), case.timeouts)
    with case.running(certificate) as (url, server):
        result = _post(client, url + PATH)
    assert not server.gave_up
    assert _matches(result, case.expected), repr(result)
    assert server.accepted == 1
    assert len(server.received) <= (case not in UNSENT)
    assert TOKEN not in caplog.text


def test_a_closed_port() -> None:
    """Nothing is sent where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = _post(HttpClient(), f"http://127.0.0.1:{unused.getsockname()[1]}{PATH}")
    assert repr(result) == "RequestNotSent('ConnectionRefusedError')"


def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name cannot be resolved."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = _post(HttpClient(), f"https://vendor.invalid{PATH}")
    assert repr(result) == "RequestNotSent('gaierror')"


def test_a_connection_that_is_not_accepted() -> None:
    """The connection has its own time-out, apart from the response's."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        # A full backlog drops packets, as a firewall does.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        client = HttpClient(timeouts=Timeouts(0.1, 30.0))
        result = _post(client, f"http://127.0.0.1:{address[1]}{PATH}")
        for one in waiting:
            one.close()
    assert repr(result) == "RequestNotSent('TimeoutError')"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://vendor.example",
        "http://",
        "http://*.com",
        "vendor",
        "http://[::",
        "http://a:b",
        f"http://{'a' * 64}.example",
        "http://a..b",
        "http://127.0.0.1:99999",
    ],
)
def test_a_malformed_address_is_not_sent(url: str) -> None:
    """A malformed setting must not count as a message that may have been sent."""
    assert _matches(_post(HttpClient(), url), RequestNotSent)


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "a\r\nX-B: b"}, {"X-A": "a\nb"}, {"X-A\r\n": "a"}, {"X-A": "中"}, {"X:": "a"}],
)
@pytest.mark.parametrize("tls", [False, True])
def test_a_header_that_cannot_be_encoded_is_not_sent(
    headers: dict[str, str], tls: bool, certificate: Path
) -> None:
    """Over TLS it is refused after the handshake but before the first byte."""
    behave = answering(ok(b"{}"))
    with raw_server(over_tls(certificate, behave) if tls else behave) as server:
        client = HttpClient(lambda: tls_context(str(certificate)), PATIENT)
        url = f"http{'s' * tls}://{server.address}"
        with pytest.raises(RequestNotSent):
            client.request("POST", url, headers, b"")
    assert server.received == []


def test_nothing_is_sent_without_time_left() -> None:
    """The response could not be awaited."""
    with serving(lambda _: (200, b"{}")) as server, pytest.raises(RequestNotSent):
        HttpClient().request("GET", server.url, {}, seconds_left=0)
    assert server.received == []


def test_the_time_left_bounds_the_response() -> None:
    """It is shorter than the client's own time-outs."""

    def silence(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        server.hold()

    # The client's own time-outs outlast the server.
    patient = Timeouts(2 * PATIENCE, 2 * PATIENCE)
    with raw_server(silence) as server, pytest.raises(OutcomeUnknown):
        HttpClient(timeouts=patient).request("GET", f"http://{server.address}", {}, seconds_left=1)
    assert not server.gave_up


def test_a_response_is_not_read_after_its_deadline() -> None:
    """Also where the server has sent more by then."""
    ours, server = socket.socketpair()
    with ours, server, ours.makefile("rb", buffering=0) as raw:
        server.sendall(b"HTTP/1.1 200 OK")
        ours.settimeout(1e-9)
        with pytest.raises(TimeoutError, match="late"):
            _BoundedReader(ours, raw).readinto(bytearray(1))


# TLS


def test_a_trusted_certificate(certificate: Path) -> None:
    """The counterpart of the refusals: a good certificate is accepted."""
    with raw_server(over_tls(certificate, answering(ok(b"{}")))) as server:
        client = HttpClient(lambda: tls_context(str(certificate)), PATIENT)
        assert _post(client, f"https://{server.address}{PATH}") == Response(200, b"{}")


def test_a_self_signed_certificate(certificate: Path) -> None:
    """Certificates are checked before anything is sent."""
    with raw_server(over_tls(certificate, answering(ok(b"{}")))) as server:
        result = _post(HttpClient(timeouts=PATIENT), f"https://{server.address}{PATH}")
    assert repr(result) == "RequestNotSent('SSLCertVerificationError')"
    assert server.received == []


def test_a_certificate_of_another_name(certificate: Path) -> None:
    """The authority is trusted, but the server's name is not in the certificate."""
    with raw_server(over_tls(certificate, answering(ok(b"{}")))) as server:
        client = HttpClient(lambda: tls_context(str(certificate)), PATIENT)
        result = _post(client, f"https://localhost:{server.address.rpartition(':')[2]}{PATH}")
    assert repr(result) == "RequestNotSent('SSLCertVerificationError')"
    assert server.received == []


def test_the_authorities_are_read_once(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each request or client, and never by requests or urllib3."""
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def counting(self: ssl.SSLContext, *given: object, **named: object) -> None:
        read.append((given, named))
        load(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counting)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counting)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    tls_context.cache_clear()
    contexts: list[ssl.SSLContext] = []

    def trusted() -> ssl.SSLContext:
        contexts.append(tls_context(str(certificate)))
        return contexts[-1]

    with raw_server(over_tls(certificate, answering(ok(b"{}")))) as server:
        for client in (HttpClient(trusted, PATIENT), HttpClient(trusted, PATIENT)):
            for _ in range(2):
                assert _post(client, f"https://{server.address}") == Response(200, b"{}")
    assert read == [((str(certificate),), {})]
    assert len(set(map(id, contexts))) == 1
    assert contexts[0].verify_mode is ssl.CERT_REQUIRED
    assert contexts[0].check_hostname


def test_the_public_authorities_are_certifi_s() -> None:
    """All vendors share one context, which requires certificates."""
    context = public_tls_context()
    assert context is public_tls_context()
    assert context.get_ca_certs()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    """Nothing is sent; an address without TLS needs no authorities."""
    client = HttpClient(lambda: tls_context(str(tmp_path / "none.pem")))
    result = _post(client, "https://127.0.0.1:1")
    assert repr(result) == "RequestNotSent('FileNotFoundError')"
    with serving(lambda _: (200, b"{}")) as server:
        assert _post(client, server.url) == Response(200, b"{}")


def test_an_unexpected_exception_is_an_unknown_outcome() -> None:
    """Its text is not quoted."""

    def fail() -> ssl.SSLContext:
        raise RuntimeError(TOKEN)

    assert repr(_post(HttpClient(fail), "https://127.0.0.1:1")) == "OutcomeUnknown('RuntimeError')"


# What goes out, and what comes back.


def test_the_request_has_the_given_headers_first() -> None:
    """Only the headers that every request needs are added."""
    with serving(lambda _: (200, b"{}")) as server:
        HttpClient().request("POST", f"{server.url}/a/b?c=%2F", {"host": "vendor"}, b"body")
        HttpClient().request("GET", server.url, {"User-Agent": "another"})
    post, get = server.received
    assert (post.method, post.path, post.body) == ("POST", "/a/b?c=%2F", b"body")
    assert post.headers == {
        "host": "vendor",
        "user-agent": "login-recovery",
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": "4",
    }
    assert (get.method, get.path, get.body) == ("GET", "/", b"")
    assert get.headers["user-agent"] == "another"


def test_each_request_has_its_own_connection() -> None:
    """Even where the server ignores `Connection: close`."""

    def behave(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"
        )
        while connection.recv(65_536):
            server.received.append(b"a further request")

    with raw_server(behave) as server:
        client = HttpClient(timeouts=PATIENT)
        for _ in range(3):
            assert _post(client, f"http://{server.address}") == Response(200, b"{}")
        assert server.accepted == len(server.received) == 3


def test_many_threads_share_a_client() -> None:
    """Each receives its own response."""
    with serving(lambda request: (200, request.body)) as server:
        client = HttpClient(timeouts=PATIENT)
        answers: dict[int, Response] = {}

        def post(number: int) -> None:
            answers[number] = client.request("POST", server.url, {}, b"%d" % number)

        threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {number: Response(200, b"%d" % number) for number in range(4)}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """The request goes only to the configured address."""
    with serving(lambda _: (status, b"")) as server:
        assert _post(HttpClient(), server.url) == Response(status, b"")
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [b"429 No", b"503 No", b"413 No"])
def test_nothing_is_repeated(status: bytes) -> None:
    """Not even where the server sends Retry-After."""
    answer = b"HTTP/1.1 %s\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n" % status
    with raw_server(answering(answer)) as server:
        result = _post(HttpClient(timeouts=PATIENT), f"http://{server.address}")
    assert result == Response(int(status[:3]), b"")
    assert len(server.received) == 1


def test_no_cookie_is_kept() -> None:
    """A response's cookie is not sent with the next request."""
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\n{}"
    with raw_server(answering(answer)) as server:
        client = HttpClient(timeouts=PATIENT)
        for _ in range(2):
            assert _post(client, f"http://{server.address}") == Response(200, b"{}")
    assert len(server.received) == 2
    assert not [request for request in server.received if b"cookie" in request.lower()]


def test_nothing_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a proxy nor a password of a netrc file."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(lambda _: (200, b"{}")) as server:
        # requests on its own would use both.
        assert requests.Session().trust_env
        assert _post(HttpClient(), server.url) == Response(200, b"{}")
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize("size", [0, 1, MAXIMUM_BODY, MAXIMUM_BODY + 1])
def test_a_body_is_read_up_to_the_limit(size: int) -> None:
    """A body of exactly the limit is read; one byte more is too much."""
    with serving(lambda _: (200, b"x" * size)) as server:
        result = HttpClient().request("GET", server.url, {})
    assert result == Response(200, b"x" * size if size <= MAXIMUM_BODY else None)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5))
def test_chunks_of_any_size_are_read(chunks: list[bytes]) -> None:
    """A vendor's proxy may send them."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(answering(head + body)) as server:
        client = HttpClient(timeouts=PATIENT)
        assert _post(client, f"http://{server.address}") == Response(200, b"".join(chunks))


def test_a_response_after_a_100_is_read() -> None:
    """http.client skips the interim response."""
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"{}")
    with raw_server(answering(answer)) as server:
        client = HttpClient(timeouts=PATIENT)
        assert _post(client, f"http://{server.address}") == Response(200, b"{}")


def test_the_default_time_outs() -> None:
    """Two seconds to connect and four for the response, since a person is waiting."""
    assert http_client.DEFAULT_TIMEOUTS == (2.0, 4.0)
