"""The local stack's HTTP server and gateway in front of a small Chalice app, over real sockets."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from chalice.app import Chalice, IAMAuthorizer, Response
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as HttpResponse

from infra.local.gateway import Gateway
from infra.local.service import build_server
from infra.local.serving import MAXIMUM_BODY, LocalServer, bind
from infra.local.sigv4_check import SigV4Check

PAGE = "<p>" + "页" * 2_000


def small_app() -> Chalice:
    """Return an app that echoes its request."""
    app = Chalice(app_name="small")
    app.debug = False

    @app.route("/echo/{name}", methods=["GET", "POST"], content_types=["application/json"])
    def echo(name: str) -> Response:
        request = app.current_request
        assert request is not None
        raw_body = request.raw_body or b""
        assert isinstance(raw_body, bytes)
        query = request.query_params
        time.sleep(0.001)
        seen = {
            "name": name,
            "mine": app.current_request is request,
            "body": raw_body.decode(),
            "query": {key: query.getlist(key) for key in query} if query else {},
            "headers": dict(request.headers),
            "identity": request.context["identity"],
        }
        return Response(json.dumps(seen), headers={"Content-Type": "application/json"})

    @app.route("/page", methods=["GET"])
    def page() -> Response:
        headers: dict[str, str | list[str]] = {
            "Content-Type": "text/html; charset=utf-8",
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
            "Set-Cookie": ["a=1", "b=2"],
        }
        return Response(PAGE, headers=headers)

    @app.route("/gone", methods=["POST"])
    def gone() -> Response:
        return Response(None, headers={}, status_code=204)

    @app.route("/open", methods=["POST"], cors=True)
    def open_to_all() -> Response:
        return Response("")

    @app.route("/picture", methods=["GET"])
    def picture() -> Response:
        headers: dict[str, str | list[str]] = {"Content-Type": "application/octet-stream"}
        return Response(b"\x00\xff", headers=headers)

    @app.route("/secret", methods=["POST"], authorizer=IAMAuthorizer())
    def secret() -> Response:
        request = app.current_request
        assert request is not None
        return Response({"arn": request.context["identity"]["userArn"]})

    return app


def phone(request: Request) -> HttpResponse:
    return HttpResponse(f"phone {request.path}")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    app = small_app()
    check = SigV4Check("testing", "secret", lambda: int(time.time()))
    gateway = Gateway(app, check, "arn:aws-cn:iam::123456789012:user/local")
    built = build_server(bind(0), gateway.answer, {"/_phone": phone}, "http://127.0.0.1:1", 1_000)
    built.start()
    yield built
    built.close()


def raw(server: LocalServer, sent: bytes) -> bytes:
    """Send these bytes and return everything that the server sends until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def get(server: LocalServer, path: str, **more: Any) -> requests.Response:
    return requests.get(server.url + path, timeout=60, **more)


def test_the_event_has_what_the_caller_sent(server: LocalServer) -> None:
    """Path parameters are decoded, repeated parameters kept, and a body arrives byte for byte."""
    answer = requests.post(
        server.url + "/echo/%E4%B8%AD?a=1&a=2&b=",
        data="正文".encode(),
        headers={"Content-Type": "application/json", "X-Some": "thing"},
        timeout=60,
    ).json()
    assert answer["name"] == "中"
    assert answer["body"] == "正文"
    assert answer["query"] == {"a": ["1", "2"], "b": [""]}
    assert answer["headers"]["x-some"] == "thing"


def test_the_address_is_the_peer_s(server: LocalServer) -> None:
    """No header changes it."""
    forged = {"X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4", "X-Real-IP": "1.2.3.4"}
    assert get(server, "/echo/a", headers=forged).json()["identity"]["sourceIp"] == "127.0.0.1"
    assert get(server, "/echo/a").json()["identity"]["userArn"] is None


def test_a_preflight_is_answered_by_the_gateway(server: LocalServer) -> None:
    """Where the route allows other origins; the function is not called."""
    answer = requests.options(server.url + "/open", timeout=60)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_a_body_of_bytes_arrives_as_it_is(server: LocalServer) -> None:
    """API Gateway's events have it in base64."""
    accept = {"Accept": "application/octet-stream"}
    assert get(server, "/picture", headers=accept).content == b"\x00\xff"


def test_a_failure_of_the_gateway_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of its own, since the app answers for what fails in a function."""

    def fail(*_: object) -> None:
        raise RuntimeError("canary")

    gateway = Gateway(small_app(), SigV4Check("testing", "secret", lambda: 0), "arn")
    monkeypatch.setattr(gateway, "_event", fail)
    request = Request(EnvironBuilder("/page").get_environ() | {"RAW_URI": "/page"})
    answer = gateway.answer(request)
    assert answer.status_code == 503
    assert json.loads(answer.get_data())["code"] == "unavailable"
    assert "the gateway failed" in caplog.text


def test_concurrent_requests_are_separate(server: LocalServer) -> None:
    """Each thread has its own current request."""
    answers: list[tuple[str, dict[str, Any]]] = []

    def ask(name: str) -> None:
        answers.append((name, get(server, f"/echo/{name}").json()))

    threads = [threading.Thread(target=ask, args=(f"n{number}",)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    assert all(answer["name"] == name and answer["mine"] for name, answer in answers)


def test_unknown_addresses_and_methods_get_problems(server: LocalServer) -> None:
    """404 and 405 are problems in Chinese, and a 405 names the methods."""
    missing = get(server, "/nowhere?code=1")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    for method in ("PUT", "DELETE", "OPTIONS", "BREW"):
        refused = requests.request(method, server.url + "/page", timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (405, "method-not-allowed")
        assert refused.headers["Allow"] == "GET, HEAD"
        assert refused.headers["Content-Type"].startswith("application/problem+json")


def test_head_is_get_without_a_body(server: LocalServer) -> None:
    """HEAD declares the length and sends no body."""
    answer = requests.head(
        server.url + "/page", headers={"Accept-Encoding": "identity"}, timeout=60
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(PAGE.encode())


def test_an_answer_without_content_has_no_length(server: LocalServer) -> None:
    """A 204 has neither a length nor a body, and no content type beyond the app's."""
    sent = b"POST /gone HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    head, _, body = raw(server, sent + b"Content-Length: 2\r\n\r\n{}").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == b""


def test_responses_name_no_versions(server: LocalServer) -> None:
    """The Server header names no software."""
    assert get(server, "/page").headers["Server"] == "local"


def test_repeated_and_folded_headers_arrive_as_api_gateway_passes_them(server: LocalServer) -> None:
    """Of a repeated header the last value counts; a folded one is one line."""
    sent = (
        b"GET /echo/a HTTP/1.1\r\nHost: a\r\nX-Some: 1\r\nX-Some: 2\r\n"
        b"X-Folded: one\r\n two\r\nX_Under: 3\r\n\r\n"
    )
    seen = json.loads(raw(server, sent).partition(b"\r\n\r\n")[2])["headers"]
    assert seen["x-some"] == "2"
    assert seen["x-folded"] == "one two"
    assert seen["x_under"] == "3"


def test_headers_with_several_values_are_all_sent(server: LocalServer) -> None:
    """Two cookies are two header lines."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/page")
    answer = connection.getresponse()
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    connection.close()


def test_bodies_in_chunks_are_read(server: LocalServer) -> None:
    """A body without a length arrives whole."""
    pieces = iter([b'{"a":', b" 1}", b""])
    answer = requests.post(
        server.url + "/echo/a",
        data=(piece for piece in pieces if piece),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert answer.json()["body"] == '{"a": 1}'


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: two\r\n\r\n{}",
        b"Content-Length: 900\r\n\r\n{}",
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n",
    ],
)
def test_contradictory_lengths_are_refused(server: LocalServer, head: bytes) -> None:
    """The response is 400, and the connection is closed."""
    sent = b"POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + head
    answer = raw(server, sent + b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "请求格式不正确" in answer.decode()


def test_a_body_beyond_ten_megabytes_gets_a_413(server: LocalServer) -> None:
    """API Gateway has the same limit."""
    answer = requests.post(server.url + "/gone", data=b"x" * (MAXIMUM_BODY + 1), timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (413, "invalid-input")
    pieces = (b"x" * 1_000_000 for _ in range(11))
    chunked = requests.post(server.url + "/gone", data=pieces, timeout=60)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "invalid-input")


def test_a_malformed_request_gets_no_echo(server: LocalServer) -> None:
    """The refusal of a request that is not HTTP quotes nothing of it."""
    answer = raw(server, b"GET /<script> x HTTP/1.1 oops\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"script" not in answer


def test_expect_is_answered_at_once(server: LocalServer) -> None:
    """A client with `Expect: 100-continue` gets its 100 before it sends the body."""
    head = (
        b"POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_an_iam_route_accepts_only_signed_requests(server: LocalServer) -> None:
    """Missing and wrong signatures get a 403; a right one passes and identifies the caller."""
    url = server.url + "/secret"
    unsigned = requests.post(url, json={}, timeout=60)
    assert (unsigned.status_code, unsigned.json()["code"]) == (403, "forbidden")
    for secret, status in (("secret", 200), ("wrong", 403)):
        request: Any = AWSRequest(
            method="POST", url=url, data=b"{}", headers={"Content-Type": "application/json"}
        )
        SigV4Auth(Credentials("testing", secret), "execute-api", "us-east-1").add_auth(request)
        answer = requests.post(url, data=b"{}", headers=dict(request.headers), timeout=60)
        assert answer.status_code == status
    request = AWSRequest(
        method="POST", url=url, data=b"{}", headers={"Content-Type": "application/json"}
    )
    SigV4Auth(Credentials("testing", "secret"), "execute-api", "us-east-1").add_auth(request)
    assert requests.post(url, data=b"{}", headers=dict(request.headers), timeout=60).json() == {
        "arn": "arn:aws-cn:iam::123456789012:user/local"
    }
    assert (
        requests.post(url, data=b"[]", headers=dict(request.headers), timeout=60).status_code == 403
    )


def test_the_page_may_be_framed_by_the_phone_page_alone(server: LocalServer) -> None:
    """Only documents are relaxed, for one origin; all other headers stay."""
    plain = get(server, "/page").headers
    assert plain["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in plain["Content-Security-Policy"]
    framed = get(server, "/page", headers={"Sec-Fetch-Dest": "iframe"}).headers
    assert "X-Frame-Options" not in framed
    assert framed["Content-Security-Policy"] == (
        "default-src 'self'; frame-ancestors http://127.0.0.1:1; base-uri 'none'"
    )


def test_responses_are_compressed_as_by_api_gateway(server: LocalServer) -> None:
    """From the configured size on, and where the client accepts gzip."""
    zipped = get(server, "/page", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.text == PAGE
    assert len(gzip.compress(PAGE.encode())) >= int(zipped.headers["Content-Length"]) - 20
    assert (
        "Content-Encoding"
        not in get(server, "/page", headers={"Accept-Encoding": "identity"}).headers
    )
    small = get(server, "/nowhere", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers


def test_the_phone_page_s_addresses_are_its_own(server: LocalServer) -> None:
    """`/_phone` and paths below it never reach the app; `/_phonebook` does."""
    assert get(server, "/_phone/state?x=1").text == "phone /_phone/state"
    assert get(server, "/_phonebook").status_code == 404


def test_the_log_has_no_query(server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    """A line has the method, path, status and duration."""
    with caplog.at_level(logging.INFO, logger="infra.local.access"):
        get(server, "/page?code=123456&state=abc")
        raw(server, b"GET /no\x1b[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    [first, second] = [record.getMessage() for record in caplog.records]
    assert first.startswith("GET /page 200 ")
    assert "123456" not in caplog.text
    assert "\x1b" not in second


@pytest.mark.parametrize(
    "path",
    [
        "/receipts/aliyun/R3ceipts-of-nobody",
        "//RECEIPTS/tencent/R3ceipts-of-nobody/",
        "/%72eceipts/R3ceipts-of-nobody?x=1",
    ],
)
def test_the_log_has_no_receipts_key(
    server: LocalServer, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """These addresses end in a key: the log has the route instead, even for a wrong path."""
    with caplog.at_level(logging.INFO, logger="infra.local.access"):
        raw(server, f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert "POST /receipts/{vendor}/{key} 404 " in caplog.text
    assert "R3ceipts" not in caplog.text
