"""The store on botocore's client, against a server with scripted responses."""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from chalicelib.domain.errors import Unavailable
from chalicelib.store import connection as connections
from chalicelib.store import dynamo
from chalicelib.store.dynamo import ConditionFailed, read, read_together, transact, update
from chalicelib.store.models import CodeItem, LoginItem, bind
from chalicelib.store.pynamodb_internals import Transaction, connection_of
from tests.support.http_server import self_signed

KEY = "code#11010148"
ITEM = {"id": {"S": KEY}, "expires_at": {"N": "1"}, "digest": {"S": "d"}}
FOUND = json.dumps({"Item": ITEM}).encode()
UPDATED = json.dumps({"Attributes": ITEM}).encode()


def answer(body: bytes, status: int = 200, *, length: int | None = None, **headers: str) -> bytes:
    """Return an HTTP response; `length` is the declared Content-Length."""
    lines = [
        f"HTTP/1.1 {status} Scripted",
        "Content-Type: application/x-amz-json-1.0",
        f"Content-Length: {len(body) if length is None else length}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def refusal(code: str, status: int = 400, **members: Any) -> bytes:
    """Return an error response as DynamoDB sends it."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **members}
    return answer(json.dumps(body).encode(), status)


class Script:
    """A server with one answer for each request; the last one is repeated for ever.

    An empty answer closes the connection, also before the next request where `closes` is set.
    """

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self._closes = closes
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(accepted)
            threading.Thread(target=self._serve, args=[accepted], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, accepted.makefile("rb") as stream:
            while line := stream.readline():
                headers: dict[str, str] = {}
                while (header := stream.readline().decode("latin-1").strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                with self._guard:
                    self.requests.append((line.decode("latin-1"), headers, body))
                    sent = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if not sent:
                    return
                accepted.sendall(sent)
                if self._closes:
                    return

    def bodies(self) -> list[Any]:
        """Return the requests' bodies, parsed."""
        return [json.loads(body) for _, _, body in self.requests]

    def close(self) -> None:
        """Close the listener and every connection."""
        with suppress(OSError):
            # Otherwise the thread that waits in accept() keeps the port open for one more.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for accepted in self._open:
            accepted.close()


Serve = Callable[..., Script]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server with a script, and connect a new client of the models to it."""
    scripts: list[Script] = []
    monkeypatch.setattr(dynamo, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(dynamo, "_LONGEST_PAUSE", 0.002)

    def start(*answers: bytes, path: str = "", closes: bool = False) -> Script:
        script = Script(*answers, closes=closes)
        scripts.append(script)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", script.url + path)
        bind("recovery")
        return script

    yield start
    for script in scripts:
        script.close()
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    bind("recovery")


@contextmanager
def unavailable() -> Iterator[None]:
    """Assert that the block raises Unavailable for the store."""
    with pytest.raises(Unavailable) as raised:
        yield
    assert raised.value.dependency == "store"


def get() -> str | None:
    item = read(CodeItem, KEY)
    return None if item is None else item.digest


def write(is_done: Callable[[CodeItem], bool] = lambda _: False) -> str | None:
    return update(
        CodeItem(KEY), [CodeItem.digest.set("d")], CodeItem.digest.does_not_exist(), is_done
    ).digest


def write_together() -> None:
    def build(transaction: Transaction) -> None:
        transaction.update(CodeItem(KEY), [CodeItem.digest.set("d")])

    transact(build, CodeItem)


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


def test_a_connection_without_an_answer_is_repeated(serve: Serve) -> None:
    """The number of attempts is bounded."""
    script = serve(b"", answer(FOUND))
    assert get() == "d"
    assert script.connections == 2
    script = serve(b"")
    with unavailable():
        get()
    assert len(script.requests) == 3


def test_a_dropped_idle_connection_is_replaced(serve: Serve) -> None:
    """The server closes connections while a function is frozen."""
    script = serve(answer(FOUND), closes=True)
    assert [get() for _ in range(3)] == ["d"] * 3
    assert len(script.requests) == 3


def test_a_closed_port_is_unavailable(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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


# What the store adds to botocore's repeats.

LOST = answer(b"{}", 500)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_is_done_is_called_only_for_a_refused_repeat(serve: Serve, before: int) -> None:
    """Botocore counts its repeats in a refusal's metadata, too, and keeps the item."""
    serve(*[LOST] * before, refusal("ConditionalCheckFailedException", Item=ITEM))
    seen: list[str] = []

    def is_done(item: CodeItem) -> bool:
        seen.append(str(item.digest))
        return True

    if before:
        assert write(is_done) == "d"
        assert seen == ["d"]
    else:
        with pytest.raises(ConditionFailed) as raised:
            write(is_done)
        assert raised.value.items == (ITEM,)
        assert seen == []


def test_is_done_is_called_after_a_lost_answer_and_a_conflict(serve: Serve) -> None:
    """The lost attempt may have preceded the conflict."""
    serve(
        LOST,
        refusal("TransactionConflictException"),
        refusal("ConditionalCheckFailedException", Item=ITEM),
    )
    assert write(lambda item: item.digest == "d") == "d"


def cancelled(*codes: str) -> bytes:
    reasons = [{"Code": code, **({"Message": "no"} if code != "None" else {})} for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)


PASSING = {
    "a conflict": cancelled("TransactionConflict"),
    "throttling": cancelled("ThrottlingError", "None"),
    "throughput": cancelled("None", "ProvisionedThroughputExceeded"),
    "the account's limit": cancelled("RequestLimitExceeded"),
    "several": cancelled("TransactionConflict", "ThrottlingError"),
}


@pytest.mark.parametrize("passing", PASSING.values(), ids=PASSING)
def test_a_transaction_with_a_passing_conflict_is_repeated(serve: Serve, passing: bytes) -> None:
    """The attempts are bounded and share the token by which DynamoDB recognizes a repeat."""
    script = serve(passing, passing, LOST, answer(b"{}"))
    write_together()
    assert len(script.requests) == 4
    assert len({body["ClientRequestToken"] for body in script.bodies()}) == 1
    assert len(set(map(json.dumps, script.bodies()))) == 1
    script = serve(passing)
    with unavailable():
        write_together()
    assert len(script.requests) == 8
    write_token = script.bodies()[0]["ClientRequestToken"]
    with unavailable():
        write_together()
    assert script.bodies()[-1]["ClientRequestToken"] != write_token


FINAL = {
    "of no valid form": cancelled("ValidationError"),
    "too large": cancelled("ItemCollectionSizeLimitExceeded", "ThrottlingError"),
    "for no reason": cancelled("None"),
}


@pytest.mark.parametrize("final", FINAL.values(), ids=FINAL)
def test_a_transaction_that_cannot_succeed_is_not_repeated(serve: Serve, final: bytes) -> None:
    """One request, then Unavailable."""
    script = serve(final)
    with unavailable():
        write_together()
    assert len(script.requests) == 1


def test_a_failed_condition_counts_more_than_throttling(serve: Serve) -> None:
    """A repeat would be refused as well; the item is returned."""
    reasons = [
        {"Code": "ThrottlingError", "Message": "no"},
        {"Code": "ConditionalCheckFailed", "Message": "no", "Item": ITEM},
    ]
    script = serve(refusal("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(ConditionFailed) as raised:
        write_together()
    assert (raised.value.items, raised.value.failed) == ((None, ITEM), (False, True))
    assert len(script.requests) == 1


def test_a_transaction_in_progress_is_repeated(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier attempt with the same token is still being carried out."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    in_progress = refusal("TransactionInProgressException")
    script = serve(*[in_progress] * 5, answer(b"{}"))
    write_together()
    assert len({body["ClientRequestToken"] for body in script.bodies()}) == 1
    script = serve(in_progress)
    with unavailable():
        write_together()
    assert len(script.requests) <= 8 * connections.ATTEMPTS


def test_requests_for_unprocessed_keys_are_bounded(serve: Serve) -> None:
    """The pauses grow; pynamodb itself would repeat without end."""
    table = "recovery-ephemera"
    left = {
        "Responses": {table: []},
        "UnprocessedKeys": {table: {"Keys": [{"id": {"S": KEY}}], "ConsistentRead": True}},
    }
    found = {"Responses": {table: [ITEM]}, "UnprocessedKeys": {}}
    unprocessed = answer(json.dumps(left).encode())
    script = serve(unprocessed, unprocessed, answer(json.dumps(found).encode()))
    items = read_together([(CodeItem, KEY), (CodeItem, "code#2"), (LoginItem, "1")])
    assert list(items) == [(CodeItem, KEY)]
    requested = [body["RequestItems"] for body in script.bodies()]
    assert set(requested[0]) == {table, "recovery-logins"}
    assert requested[1:] == [left["UnprocessedKeys"]] * 2
    script = serve(unprocessed)
    with unavailable():
        read_together([(CodeItem, KEY)])
    assert len(script.requests) == 8


def test_the_pauses_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They sum to at most 1.6 s, and no attempt begins long after the first."""
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    assert len(list(dynamo._attempts())) == 8
    longest = [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]
    assert len(slept) == len(longest)
    for pause, most in zip(slept, longest, strict=True):
        assert most / 2 <= pause <= most
    begun, starts = clock[0], []
    for _ in dynamo._attempts():
        starts.append(clock[0] - begun)
        # Each attempt is slow.
        clock[0] += 2
    assert len(starts) == 2
    assert starts[-1] < 3


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
