"""A request to WeChat that goes wrong: late, broken, redirected, at a stranger's, and what is told."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.trust import public
from chalicelib.wechat import wire
from chalicelib.wechat.platform import OAuthRefused, Platform, TemplateOutcome, TemplateResult
from chalicelib.wire import MAXIMUM_ANSWER, sent
from tests.loopback import Reply, self_signed
from tests.wechat_platform import (
    CALLS,
    CODE,
    INFO,
    OPENID,
    SECRET,
    SEND,
    SENT,
    STABLE,
    Clock,
    WeChat,
    alarms,
    platform_at,
    playing,
    refusal,
    send,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    with playing() as wechat:
        yield wechat


@pytest.fixture
def platform(wechat: WeChat, clock: Clock) -> Platform:
    return platform_at(wechat.url, clock)


def test_each_request_has_its_times(
    wechat: WeChat, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds to connect, four to wait."""
    given: list[object] = []

    def noting(*request: Any) -> Any:
        given.append(request[-1])
        return sent(*request)

    monkeypatch.setattr(wire, "sent", noting)
    wechat.answers[SEND] = [SENT]
    send(platform)
    assert given == [(2.0, 4.0)] * 2


def test_a_message_that_is_not_answered_may_have_been_sent(
    wechat: WeChat, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a time-out nothing is sent again, and nobody says that nothing was sent."""
    released = threading.Event()

    def late() -> None:
        # By then nobody listens any more.
        released.wait(5)

    monkeypatch.setattr(wire, "TIMEOUT", (1.0, 0.15))
    wechat.answers[SEND] = [late]
    try:
        assert send(platform) == TemplateResult(TemplateOutcome.UNKNOWN)
    finally:
        released.set()
    assert len(wechat.asked(SEND)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        (502, b"<html>Bad Gateway</html>"),
        (504, b""),
        (200, b"<html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"[" * 50_000),
        (200, b'{"errcode": "0"}'),
        (200, b'{"errcode": true}'),
        (200, b"{}"),
        (200, b'{"errcode": 0' + b" " * MAXIMUM_ANSWER + b"}"),
    ],
    ids=lambda answer: str(answer)[:30],
)
def test_an_answer_that_says_nothing_leaves_a_message_unknown(
    wechat: WeChat, platform: Platform, answer: Reply
) -> None:
    """A broken connection, a gateway's page, no JSON, too much of it: the message may be out."""
    wechat.answers[SEND] = [answer]
    assert send(platform).outcome is TemplateOutcome.UNKNOWN
    assert len(wechat.asked(SEND)) == 1


@pytest.mark.parametrize("status", [302, 307, 403, 404, 407, 413])
def test_a_proxy_that_passes_nothing_on_has_sent_nothing(
    wechat: WeChat, platform: Platform, status: int
) -> None:
    """Redirects are not followed: they would carry the token to somebody else."""
    wechat.answers[SEND] = [(status, b"")]
    with pytest.raises(Unavailable):
        send(platform)
    assert [urlsplit(request.path).path for request in wechat.received] == [STABLE, SEND]


@pytest.mark.parametrize("path", CALLS)
def test_nobody_there_means_unavailable(clock: Clock, path: str) -> None:
    """What could not connect has certainly sent nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        platform = platform_at(f"http://127.0.0.1:{taken.getsockname()[1]}", clock)
        with pytest.raises(Unavailable):
            CALLS[path](platform)


@pytest.mark.parametrize("path", [path for path in CALLS if path != SEND])
def test_other_calls_without_an_answer_are_unavailable(
    wechat: WeChat, platform: Platform, path: str
) -> None:
    """Where nothing is sent to a person, no answer and a wrong one are the same."""
    for answer in (None, (500, b""), (200, b"{"), refusal(45009)):
        wechat.answers[path] = [answer]
        with pytest.raises(Unavailable):
            CALLS[path](platform)


def test_a_trickling_answer_is_cut_off(wechat: WeChat) -> None:
    """Reading goes on only while there is time, though each read comes in time."""
    wechat.answers[INFO] = [{"subscribe": 1}]
    left = iter([5.0, 0.0])
    with pytest.raises(wire.NoAnswer) as caught:
        wire.ask(public, wechat.url, INFO, {}, None, lambda: next(left))
    assert caught.value.arrived


def test_no_time_left_means_nothing_is_sent(wechat: WeChat) -> None:
    """A request that could not be waited for does not go out."""
    with pytest.raises(wire.NoAnswer) as caught:
        wire.ask(public, wechat.url, SEND, {}, {}, lambda: 0)
    assert not caught.value.arrived
    assert wechat.received == []


def test_each_request_has_a_connection_of_its_own(wechat: WeChat, platform: Platform) -> None:
    """A connection kept while the process slept would lose a message without telling."""
    wechat.answers[SEND] = [SENT]
    send(platform)
    send(platform)
    assert {request.headers["connection"] for request in wechat.received} == {"close"}


# What is logged, and what is not.


@pytest.mark.parametrize("errcode", [45009, 40164, 48001, 40037, 47003])
def test_what_somebody_must_mend_raises_an_alarm(
    wechat: WeChat, platform: Platform, caplog: pytest.LogCaptureFixture, errcode: int
) -> None:
    """With the interface, the code, and the rid that WeChat's support asks for."""
    wechat.answers[SEND] = [refusal(errcode)]
    send(platform)
    assert alarms(caplog) == [f"wechat-{errcode}"]
    assert f"{SEND}: errcode {errcode} rid 64635211-1adf7efb-7b834cc4" in caplog.text


@pytest.mark.parametrize("errcode", [43004, 43101, 45011, 40029])
def test_what_belongs_to_a_person_raises_none(
    wechat: WeChat, platform: Platform, caplog: pytest.LogCaptureFixture, errcode: int
) -> None:
    """Somebody who has left is no fault; the rid is kept all the same."""
    wechat.answers[SEND] = [refusal(errcode)]
    send(platform)
    assert alarms(caplog) == []
    assert "rid 64635211" in caplog.text


@pytest.mark.parametrize("errcode", [40001, 40013, 40125, 40164, 40243])
def test_no_token_to_be_had_raises_an_alarm(
    wechat: WeChat, platform: Platform, caplog: pytest.LogCaptureFixture, errcode: int
) -> None:
    """Nothing of WeChat works then, whatever the code is."""
    wechat.answers[STABLE] = [refusal(errcode)]
    assert send(platform).outcome is TemplateOutcome.NO_TEMPLATE
    assert alarms(caplog) == [f"wechat-{errcode}"]


@contextmanager
def _raw_server(answer: bytes) -> Iterator[str]:
    """A server that says exactly this to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(2)
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(2)


ANSWERS: dict[str, bytes] = {
    "refused": b'HTTP/1.1 200 OK\r\n\r\n{"errcode":40029,"errmsg":"invalid code, rid: 1-2-3"}',
    "broken head": b'HTTP/1.1 200 OK\r\nno header\r\nX: 1\r\n\r\n{"errcode":45009}',
    "not http": b"220 mail ready\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "silent": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("path", CALLS)
def test_no_secret_is_logged_or_raised(
    clock: Clock, caplog: pytest.LogCaptureFixture, path: str, answer: bytes
) -> None:
    """Whatever goes wrong, at the loudest level: no AppSecret, token, openid or code comes out."""
    canaries = (SECRET, "canary-token", OPENID, CODE)
    caplog.set_level(logging.DEBUG)
    with _raw_server(answer) as url:
        platform = platform_at(url, clock)
        platform._tokens.token = "canary-token-0"  # type: ignore[attr-defined]
        try:
            CALLS[path](platform)
        except (Unavailable, OAuthRefused) as error:
            links, chain = [error], [repr(error)]
            while (link := links.pop()).__context__ is not None:
                links.append(link.__context__)  # type: ignore[arg-type]
                chain += [repr(link.__context__)]
            told = "".join([*traceback.format_exception(error), *chain])
            assert not [canary for canary in canaries if canary in told]
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert logged
    assert not [canary for canary in canaries if canary in logged]


# The platform's certificate.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


def test_a_stranger_s_certificate_gets_nothing(clock: Clock, certificate: Path) -> None:
    """No secret goes to somebody whom no authority knows."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.path)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """The client is meant to break off."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"https://127.0.0.1:{server.server_address[1]}"
            platform = platform_at(url, clock)
            platform._tokens.token = "canary-token-0"  # type: ignore[attr-defined]
            started = time.monotonic()
            with pytest.raises(Unavailable):
                send(platform)
            assert time.monotonic() - started < 2
        finally:
            server.shutdown()
            thread.join()
    assert received == []
