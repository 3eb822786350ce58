"""The life of a local server: its port, its end, and many callers."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as HttpResponse

from infra.local.gateway import function_context
from infra.local.serving import BACKLOG, LocalServer, application, bind


def phone(request: Request) -> HttpResponse:
    return HttpResponse(f"phone {request.path}")


def get(server: LocalServer, path: str) -> requests.Response:
    return requests.get(server.url + path, timeout=60)


def test_a_closed_server_frees_its_port() -> None:
    """The port can be bound again at once, and open connections are closed."""
    server = LocalServer(application(phone), bind(0))
    port = server.port
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=60)
    server.start()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as idle:
        assert get(server, "/").text == "phone /"
        with pytest.raises(OSError, match="in use"):
            bind(port)
        server.close()
        assert idle.recv(1) == b""
    bind(port).close()


def test_a_connection_that_is_gone_does_not_disturb_the_end() -> None:
    """Its thread has not noticed yet, and the system knows no connection any more."""
    server = LocalServer(application(phone))
    server.start()
    ended = threading.Thread()
    ended.start()
    with socket.socket() as gone:
        server._open[gone] = ended
        server.close()
    bind(server.port).close()


def test_a_closing_server_finishes_its_requests() -> None:
    """Accepted requests are answered, and no thread of the server is left."""
    reached, going_on = threading.Event(), threading.Event()

    def slow(request: Request) -> HttpResponse:
        reached.set()
        assert going_on.wait(60)
        return HttpResponse("late")

    before = set(threading.enumerate())
    server = LocalServer(application(slow))
    server.start()
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(get, server, "/")
        assert reached.wait(60)
        closing = pool.submit(server.close)
        going_on.set()
        assert answer.result(60).text == "late"
        closing.result(60)
    assert set(threading.enumerate()) == before


def test_a_function_may_answer_by_an_exception_of_http() -> None:
    """Its status, and no body."""

    def refuse(_: Request) -> HttpResponse:
        raise RequestEntityTooLarge

    with LocalServer(application(refuse)) as server:
        answer = get(server, "/")
    assert (answer.status_code, answer.content) == (413, b"")


def test_hundreds_of_callers_at_once_are_all_answered() -> None:
    """More connections than a usual backlog holds wait to be accepted."""
    server = LocalServer(application(phone))
    server.socket.listen(BACKLOG)
    with ExitStack() as open_ones:
        waiting = []
        for _ in range(300):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            waiting.append(open_ones.enter_context(connection))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with server:
            assert all(connection.recv(12) == b"HTTP/1.1 200" for connection in waiting)


def test_a_function_has_the_time_that_it_is_deployed_with() -> None:
    """The yearly reset's batches end 20 s before their time-out; other functions have the default."""
    context = function_context(Path(__file__).parents[2])
    assert context("reset_accounts").get_remaining_time_in_millis() > 100_000
    assert context("yearly_reset").get_remaining_time_in_millis() > 800_000
    assert context("api_handler").get_remaining_time_in_millis() <= 10_000
