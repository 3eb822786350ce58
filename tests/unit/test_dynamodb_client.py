"""The store on botocore's client, against a server with scripted responses."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from chalicelib.domain.errors import Unavailable
from chalicelib.store.dynamo import read_together
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import LoginItem, bind
from chalicelib.store.pynamodb_internals import connection_of
from tests.support.http_server import self_signed
from tests.support.scripted_dynamodb import (
    FOUND,
    ITEM,
    KEY,
    Serve,
    answer,
    get,
    unavailable,
    write,
    write_together,
)

# What is no answer of DynamoDB, with a status of success and with one of failure.

BODIES = {
    "HTML": b"<html><body>Welcome to this network</body></html>",
    "a sentence": b"Service Unavailable",
    "a JSON string": b'"Service Unavailable"',
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "nothing": b"",
    "half of an object": FOUND[: len(FOUND) // 2],
    "bytes that are no text": b"\xff\xfe{",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("call", [get, write, write_together])
def test_a_200_without_a_json_object_is_unavailable(
    serve: Serve, body: bytes, call: Callable[[], Any]
) -> None:
    """It must not be read as a missing item or as a completed write."""
    serve(answer(body))
    with unavailable():
        call()


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_error_without_an_object_is_repeated(serve: Serve, body: bytes, status: int) -> None:
    """As any error of this status; there are three attempts in all."""
    script = serve(answer(body, status), answer(FOUND))
    assert get() == "d"
    assert len(script.requests) == 2
    script = serve(answer(body, status))
    with unavailable():
        get()
    assert len(script.requests) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 413])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_refusal_without_an_object_is_unavailable(serve: Serve, body: bytes, status: int) -> None:
    """A proxy may send one; it is not repeated."""
    script = serve(answer(body, status))
    for call in (get, write, write_together):
        with unavailable():
            call()
    assert len(script.requests) == 3


SHAPES = [
    {"Item": []},
    {"Item": "x"},
    {"Item": {"id": "x"}},
    {"Item": {"id": {"S": KEY}, "expires_at": {"S": "no number"}}},
    {"Item": {"id": {"S": KEY}, "expires_at": {"N": "no number"}}},
    {"Attributes": []},
    {"Attributes": {"id": []}},
    {"Responses": []},
    {"Responses": {"another-table": [ITEM]}},
    {"Responses": {"recovery-ephemera": [{"another": {"S": "key"}}]}},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_response_of_another_shape_is_unavailable(serve: Serve, shape: Any) -> None:
    """Botocore raises AttributeError and TypeError for some of these."""
    serve(answer(json.dumps(shape).encode()))
    (kind,) = shape
    with unavailable():
        if kind == "Item":
            get()
        elif kind == "Attributes":
            write()
        else:
            read_together([(CodeItem, KEY)])


def test_an_update_without_the_item_is_unavailable(serve: Serve) -> None:
    """ALL_NEW was requested."""
    serve(answer(b"{}"))
    with unavailable():
        write()


# Transport.


def test_a_wrong_checksum_is_repeated_and_never_accepted(serve: Serve) -> None:
    """Botocore itself returns the last attempt's response despite it."""
    wrong = answer(FOUND, x_amz_crc32=str(zlib.crc32(FOUND) ^ 1))
    right = answer(FOUND, x_amz_crc32=str(zlib.crc32(FOUND)))
    script = serve(wrong, right)
    assert get() == "d"
    assert len(script.requests) == 2
    script = serve(wrong)
    with unavailable():
        get()
    assert len(script.requests) == 3


def test_a_truncated_body_is_repeated(serve: Serve) -> None:
    """Botocore accepts fewer bytes than declared; DynamoDB's checksum shows the loss."""
    cut = answer(FOUND[:20], length=len(FOUND), x_amz_crc32=str(zlib.crc32(FOUND)))
    script = serve(cut, answer(FOUND), closes=True)
    assert get() == "d"
    assert len(script.requests) == 2
    for unfinished in (cut, answer(FOUND[:20], length=len(FOUND))):
        serve(unfinished, closes=True)
        with unavailable():
            get()


def test_a_connection_without_an_answer_is_repeated(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The number of attempts is bounded. The log names no fault of the client."""
    script = serve(b"", answer(FOUND))
    assert get() == "d"
    assert script.connections == 2
    for call in (get, write, write_together):
        script = serve(b"")
        with unavailable():
            call()
        assert len(script.requests) == 3
    assert "the client of the store failed" not in caplog.text


def test_a_dropped_idle_connection_is_replaced(serve: Serve) -> None:
    """The server closes connections while a function is frozen."""
    script = serve(answer(FOUND), closes=True)
    assert [get() for _ in range(3)] == ["d"] * 3
    assert len(script.requests) == 3


def test_a_closed_port_is_unavailable(serve: Serve) -> None:
    """The port was closed just before."""
    serve(answer(FOUND)).close()
    for call in (get, write, write_together):
        with unavailable():
            call()


def test_an_untrusted_certificate_is_unavailable(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So is a server that does not answer the TLS handshake."""
    from tests.support.http_server import serving

    with serving(lambda _: (200, FOUND), self_signed(tmp_path / "tls.pem")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        bind("recovery")
        with unavailable():
            get()
        assert server.received == []
    script = serve(answer(FOUND))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", script.url.replace("http:", "https:"))
    bind("recovery")
    with unavailable():
        get()


# Settings of botocore's.


def test_an_endpoint_may_have_a_path(serve: Serve) -> None:
    """As botocore's other clients accept it."""
    script = serve(answer(FOUND), path="/dynamodb")
    assert get() == "d"
    assert script.requests[0][0].split()[1].startswith("/dynamodb")


def test_configured_endpoints_can_be_ignored(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's own variable for it is honoured."""
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    serve(answer(FOUND))
    client = connection_of(CodeItem).client
    assert client.meta.endpoint_url == "https://dynamodb.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("url", ["no url", "http://", "http://127.0.0.1:port", "ftp://127.0.0.1"])
def test_an_endpoint_that_is_no_url_is_unavailable(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The process starts nevertheless and answers each request."""
    serve(answer(FOUND))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    bind("recovery")
    for call in (get, write, write_together):
        with unavailable():
            call()


@pytest.mark.parametrize("name", ["AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"])
def test_without_region_or_credentials_the_process_starts(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every request is answered with 503 until the setting is there."""
    serve(answer(FOUND))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(name)
        patch.delenv("AWS_REGION", raising=False)
        bind("recovery")
        for call in (get, write, write_together):
            with unavailable():
                call()
    assert get() == "d"


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
def test_a_line_break_in_a_key_adds_no_header(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A pasted secret may end with one; at worst the store is unavailable."""
    monkeypatch.setenv(name, "testing\r\nX-Injected: 1")
    script = serve(answer(FOUND))
    with suppress(Unavailable):
        assert get() == "d"
    assert all("x-injected" not in headers for _, headers, _ in script.requests)


def test_credentials_that_rotate_are_refreshed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request is signed with those of its time; a failed refresh is unavailable."""
    script = serve(answer(FOUND))
    keys = ["key2", "key3"]
    clock = [datetime.now(UTC)]

    def fetch() -> dict[str, Any]:
        if not keys:
            raise FileNotFoundError("the credential process")
        key = keys.pop(0)
        return {
            "access_key": key,
            "secret_key": "secret",
            "token": f"token-of-{key}",
            "expiry_time": (clock[0] + timedelta(hours=1)).isoformat(),
        }

    credentials = RefreshableCredentials(
        access_key="key1",
        secret_key="secret",
        token="token-of-key1",
        expiry_time=clock[0] + timedelta(hours=1),
        refresh_using=fetch,
        method="test",
        time_fetcher=lambda: clock[0],
    )
    connection = connection_of(CodeItem)
    monkeypatch.setattr(connection.session, "get_credentials", lambda: credentials)
    connection._client = None
    for _ in range(3):
        assert get() == "d"
        clock[0] += timedelta(hours=1)
    with unavailable():
        get()
    signed = [
        (headers["authorization"].split("/")[0].partition("=")[2], headers["x-amz-security-token"])
        for _, headers, _ in script.requests
    ]
    assert signed == [(f"key{number}", f"token-of-key{number}") for number in (1, 2, 3)]


# The client's settings.


def test_the_client_is_made_with_the_binding_and_tuned(serve: Serve) -> None:
    """One client for all models is made before the first call, without a connection."""
    script = serve(answer(FOUND))
    made = connection_of(CodeItem)._client
    assert made is not None
    assert script.connections == 0
    assert connection_of(LoginItem).client is connection_of(CodeItem).client is made
    config: Any = made.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.max_pool_connections == 32


def test_threads_share_a_client(serve: Serve) -> None:
    """Even where the first call makes the client."""
    serve(answer(FOUND))
    connection = connection_of(CodeItem)
    connection._client = None
    clients: list[Any] = []
    threads = [threading.Thread(target=lambda: clients.append(connection.client)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 8
    assert len(set(map(id, clients))) == 1
