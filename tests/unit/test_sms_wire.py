"""The way to a vendor: what may have arrived is never sent again, what has not goes elsewhere."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.sms import wire
from chalicelib.sms.gateway import Outcome
from chalicelib.trust import trusting
from chalicelib.wire import Trust
from tests.loopback import Received, Reply, self_signed, serving
from tests.sms_cases import ACCEPTED, MAKERS, SMS, quotes_the_message

each_gateway = pytest.mark.parametrize("name", MAKERS)


@dataclass
class Raw:
    """A server below HTTP: where it listens, and each connection that it has had."""

    address: str
    connections: list[bytes] = field(default_factory=list)
    """What each one sent, in order."""


@contextmanager
def raw(behave: Callable[[socket.socket], bytes]) -> Iterator[Raw]:
    """Give each connection to `behave`, which answers what it has read of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Raw(f"127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        server.connections.append(behave(connection))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _whole(connection: socket.socket) -> bytes:
    """A request with all of its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < size:
        body += connection.recv(65_536)
    return head + body


def _answering(answer: bytes) -> Callable[[socket.socket], bytes]:
    def behave(connection: socket.socket) -> bytes:
        received = _whole(connection)
        connection.sendall(answer)
        return received

    return behave


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@each_gateway
def test_a_vendor_that_is_not_there_lets_the_next_one_try(name: str) -> None:
    """Nothing was sent where nothing was connected."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        attempt = MAKERS[name](url).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: ConnectionRefusedError"


@each_gateway
def test_a_vendor_without_address_lets_the_next_one_try(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name cannot be resolved."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert MAKERS[name]("https://sms.invalid").send(SMS).outcome is Outcome.TRY_ANOTHER


@each_gateway
def test_a_vendor_that_does_not_take_the_connection_lets_the_next_one_try(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out of the connection is not that of an answer."""
    monkeypatch.setattr(wire, "TIMEOUT", (0.05, 1.0))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        # A full backlog lets nobody in, as a firewall that drops packets.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        attempt = MAKERS[name](f"http://127.0.0.1:{address[1]}").send(SMS)
        for one in waiting:
            one.close()
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: TimeoutError"


@each_gateway
@pytest.mark.parametrize("url", ["ftp://vendor.example", "http://", "http://*.com"])
def test_an_address_that_is_none_lets_the_next_one_try(name: str, url: str) -> None:
    """A malformed setting must not pass for a message that was perhaps sent."""
    assert MAKERS[name](url).send(SMS).outcome is Outcome.TRY_ANOTHER


@each_gateway
def test_a_slow_vendor_leaves_the_outcome_unknown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has arrived and no answer has come: it may have been sent, so it is not repeated."""
    monkeypatch.setattr(wire, "TIMEOUT", (1.0, 0.05))

    def slowly(_: Received) -> Reply:
        time.sleep(0.15)
        return 200, ACCEPTED[name]

    with serving(slowly) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert attempt.reason == "no answer: TimeoutError"
    assert len(server.received) == 1


@each_gateway
def test_a_connection_that_breaks_leaves_the_outcome_unknown(name: str) -> None:
    """The vendor took the request and hung up."""
    with serving(lambda _: None) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert len(server.received) == 1


@each_gateway
def test_a_failure_while_another_one_is_handled_keeps_its_own_outcome(name: str) -> None:
    """Sending because something else could not be reached does not make this one unreached."""
    with serving(lambda _: None) as server:
        try:
            requests.get("http://127.0.0.1:1", timeout=1)
        except requests.ConnectionError:
            attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN


@each_gateway
def test_a_redirect_is_not_followed(name: str) -> None:
    """The message goes to the address of the settings and to no other."""
    with serving(lambda _: (307, b"")) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason.startswith("HTTP 307")
    assert len(server.received) == 1


@each_gateway
def test_each_message_has_a_connection_of_its_own(name: str) -> None:
    """A kept connection may have died: what is lost on it would pass for perhaps sent."""

    def behave(connection: socket.socket) -> bytes:
        received = _whole(connection)
        connection.sendall(_ok(ACCEPTED[name]))
        # A vendor that keeps the connection although we asked it to close it.
        connection.settimeout(0.2)
        with suppress(TimeoutError):
            received += connection.recv(1)
        return received

    with raw(behave) as server:
        gateway = MAKERS[name](f"http://{server.address}")
        assert [gateway.send(SMS).outcome for _ in range(3)] == [Outcome.SENT] * 3
    assert len(server.connections) == 3


@each_gateway
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"", Outcome.UNKNOWN),
        (b"garbage\r\n\r\n", Outcome.UNKNOWN),
        (b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\ncut", Outcome.TRY_ANOTHER),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"[" * 200_000, None),
    ],
    ids=["nothing", "garbage", "cut-503", "bad-chunk", "bad-gzip", "huge"],
)
def test_an_answer_that_is_no_answer(name: str, answer: bytes, outcome: Outcome | None) -> None:
    """Whatever comes back ends in an outcome; a 2xx settles the http gateway's message alone."""
    with raw(_answering(answer)) as server:
        attempt = MAKERS[name](f"http://{server.address}").send(SMS)
    expected = Outcome.SENT if name == "http" else Outcome.UNKNOWN
    assert attempt.outcome is (outcome or expected)
    assert len(server.connections) == 1


@each_gateway
def test_an_answer_in_chunks_is_read_whole(name: str) -> None:
    """As a vendor's proxy may send it."""
    body = ACCEPTED[name]
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, bytes([byte])) for byte in body) + b"0\r\n\r\n"
    with raw(
        _answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    ) as server:
        assert MAKERS[name](f"http://{server.address}").send(SMS).outcome is Outcome.SENT


@pytest.mark.parametrize("name", ["aliyun", "tencent"])
@pytest.mark.parametrize(("padding", "outcome"), [(1_000, Outcome.SENT), (70_000, Outcome.UNKNOWN)])
def test_an_answer_is_read_up_to_a_size(name: str, padding: int, outcome: Outcome) -> None:
    """No vendor's answer is that long; what it would say after all that counts for nothing."""
    with serving(lambda _: (200, b" " * padding + ACCEPTED[name])) as server:
        assert MAKERS[name](server.url).send(SMS).outcome is outcome


def test_an_answer_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time, the whole is not: the person does not wait for it."""
    monkeypatch.setattr(wire, "TIMEOUT", (1.0, 0.1))
    stopped = threading.Event()

    def trickle(connection: socket.socket) -> bytes:
        received = _whole(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stopped.wait(0.02):
            connection.sendall(b" ")
        return received

    with raw(trickle) as server:
        began = time.monotonic()
        attempt = MAKERS["aliyun"](f"http://{server.address}").send(SMS)
        stopped.set()
    assert attempt.outcome is Outcome.UNKNOWN
    assert time.monotonic() - began < 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(SMS.to),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Code",
                    "BizId",
                    "RequestId",
                    "Response",
                    "Error",
                    "SendStatusSet",
                    "SerialNo",
                    "id",
                ]
            ),
            inner | st.sampled_from(["OK", "Ok", "isv.MOBILE_NUMBER_ILLEGAL"]),
            max_size=4,
        )
    ),
    max_leaves=10,
)


def test_any_json_is_an_answer() -> None:
    """No value of any field raises, and none carries the phone or a line break into a record."""
    answer: list[tuple[int, bytes]] = []
    with serving(lambda _: answer[-1]) as server:
        gateways = [make(server.url) for make in MAKERS.values()]

        @settings(max_examples=100, deadline=None)
        @given(JSON, st.sampled_from([200, 201, 400, 500]))
        def any_answer(body: object, status: int) -> None:
            answer.append((status, json.dumps(body).encode()))
            for gateway in gateways:
                attempt = gateway.send(SMS)
                assert not quotes_the_message(repr(attempt))
                assert attempt.reason.isprintable()
                assert (attempt.message_id or "").isprintable()

        any_answer()


@each_gateway
def test_authorities_that_cannot_be_read_let_the_next_one_try(name: str, tmp_path: Path) -> None:
    """Nothing was said to anybody."""
    attempt = MAKERS[name]("https://127.0.0.1:1", _trusting(tmp_path / "none.pem")).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: FileNotFoundError"


@each_gateway
def test_a_mistake_of_our_own_is_an_outcome(name: str) -> None:
    """Not even our own mistake comes out of a gateway as an exception, and its words stay in."""

    def fail() -> ssl.SSLContext:
        raise RuntimeError(SMS.text)

    attempt = MAKERS[name]("https://127.0.0.1:1", fail).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert not quotes_the_message(repr(attempt))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, which nobody trusts of himself."""
    return self_signed(tmp_path_factory.mktemp("tls") / "vendor.pem")


def _over_tls(
    certificate: Path, behave: Callable[[ssl.SSLSocket, socket.socket], bytes]
) -> Callable[[socket.socket], bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def speak(connection: socket.socket) -> bytes:
        below = connection.dup()
        with below, context.wrap_socket(connection, server_side=True) as secured:
            return behave(secured, below)

    return speak


def _trusting(certificate: Path) -> Trust:
    return lambda: trusting(str(certificate))


@each_gateway
def test_a_vendor_of_a_trusted_certificate_is_spoken_to(name: str, certificate: Path) -> None:
    """What the other tests of TLS refuse works where the certificate is good."""

    def answer(secured: ssl.SSLSocket, _: socket.socket) -> bytes:
        received = _whole(secured)
        secured.sendall(_ok(ACCEPTED[name]))
        return received

    with raw(_over_tls(certificate, answer)) as server:
        gateway = MAKERS[name](f"https://{server.address}", _trusting(certificate))
        assert gateway.send(SMS).outcome is Outcome.SENT


@each_gateway
def test_a_vendor_of_an_unknown_certificate_gets_nothing(name: str, certificate: Path) -> None:
    """Certificates are checked before anything is said."""
    with raw(_over_tls(certificate, lambda secured, _: _whole(secured))) as server:
        attempt = MAKERS[name](f"https://{server.address}").send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: SSLCertVerificationError"
    assert server.connections == []


@each_gateway
def test_a_certificate_of_another_name_gets_nothing(name: str, certificate: Path) -> None:
    """It is trusted, and the vendor's name is not on it."""
    with raw(_over_tls(certificate, lambda secured, _: _whole(secured))) as server:
        url = f"https://localhost:{server.address.rpartition(':')[2]}"
        attempt = MAKERS[name](url, _trusting(certificate)).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: SSLCertVerificationError"
    assert server.connections == []


@each_gateway
def test_a_server_without_tls_is_not_spoken_to(name: str) -> None:
    """A plain server under an https address gets no message."""
    with serving(lambda _: (200, ACCEPTED[name])) as server:
        attempt = MAKERS[name](server.url.replace("http:", "https:")).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: SSLError"
    assert server.received == []


@each_gateway
def test_tls_that_breaks_after_the_request_leaves_the_outcome_unknown(
    name: str, certificate: Path
) -> None:
    """The same class of failure as a bad certificate, and yet the message has arrived."""

    def break_off(secured: ssl.SSLSocket, below: socket.socket) -> bytes:
        received = _whole(secured)
        # A record that was never encrypted: reading it fails within TLS.
        below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        return received

    with raw(_over_tls(certificate, break_off)) as server:
        gateway = MAKERS[name](f"https://{server.address}", _trusting(certificate))
        attempt = gateway.send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert attempt.reason == "no answer: SSLError"
    assert len(server.connections) == 1
