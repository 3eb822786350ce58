"""What all vendors over HTTP share: what may have arrived is never sent again, the rest fails over.

tests/unit/test_http_client.py has the client's own cases; here they go through the gateways.
"""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.http_client import HttpClient, RequestNotSent, Response, tls_context
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from tests.support.http_cases import (
    PATIENT,
    UNANSWERED,
    UNREADABLE,
    UNSENT,
    Case,
    answering,
    raw_server,
)
from tests.support.http_server import self_signed, serving
from tests.support.sms_cases import (
    ACCEPTED,
    MAKERS,
    SMS,
    aliyun_body,
    quotes_the_message,
    tencent_body,
)

each_gateway = pytest.mark.parametrize("name", MAKERS)
each_template_gateway = pytest.mark.parametrize("name", ["aliyun", "tencent"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "vendor.pem")


def _outcome(name: str, case: Case) -> Outcome:
    """Return the outcome of a case for a message: a response without a body counts by its status."""
    if not isinstance(case.expected, Response):
        unsent = case.expected is RequestNotSent
        return Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN
    if case.expected.status != 200:
        return Outcome.TRY_ANOTHER
    return Outcome.SENT if name == "http" else Outcome.UNKNOWN


@each_gateway
@pytest.mark.parametrize("case", [*UNSENT, *UNANSWERED, *UNREADABLE], ids=str)
def test_a_bad_server(
    name: str, case: Case, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One attempt has the outcome of the case, and its reason is the kind of failure alone."""
    client = HttpClient(lambda: tls_context(str(certificate)), case.timeouts)
    with case.running(certificate) as (url, server):
        attempt = MAKERS[name](url, client).send(SMS)
    assert attempt.outcome is _outcome(name, case), attempt
    assert server.accepted == 1
    if case in UNSENT:
        assert attempt.reason.startswith("not connected: ")
    if case in UNANSWERED:
        assert attempt.reason.startswith("no answer: ")
        assert not attempt.reason.endswith("OutcomeUnknown")
    assert not quotes_the_message(repr(attempt) + caplog.text)


@each_gateway
def test_a_closed_port_fails_over(name: str) -> None:
    """Without a connection nothing was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        attempt = MAKERS[name](url).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: ConnectionRefusedError"


@each_gateway
@pytest.mark.parametrize("url", ["ftp://vendor.example", "http://", "http://*.com"])
def test_a_malformed_address_fails_over(name: str, url: str) -> None:
    """A malformed setting must not count as a message that may have been sent."""
    assert MAKERS[name](url).send(SMS).outcome is Outcome.TRY_ANOTHER


@each_gateway
def test_an_exception_under_way_does_not_change_the_outcome(name: str) -> None:
    """An unrelated connection error does not make this message unsent."""
    with serving(lambda _: None) as server:
        try:
            requests.get("http://127.0.0.1:1", timeout=1)
        except requests.ConnectionError:
            attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert len(server.received) == 1


@each_gateway
def test_a_redirect_is_not_followed(name: str) -> None:
    """The message goes only to the configured address."""
    with serving(lambda _: (307, b"")) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason.startswith("HTTP 307")
    assert len(server.received) == 1


@each_gateway
def test_an_answer_in_chunks_is_read_whole(name: str) -> None:
    """A vendor's proxy may send chunks."""
    body = ACCEPTED[name]
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, bytes([byte])) for byte in body) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(answering(head + chunks)) as server:
        gateway = MAKERS[name](f"http://{server.address}", HttpClient(timeouts=PATIENT))
        assert gateway.send(SMS).outcome is Outcome.SENT


@each_gateway
def test_an_untrusted_certificate_fails_over(name: str, certificate: Path) -> None:
    """The gateways' own client checks certificates before it sends anything."""
    with serving(lambda _: (200, ACCEPTED[name]), certificate) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: SSLCertVerificationError"
    assert server.received == []


@each_gateway
def test_unreadable_authorities_fail_over(name: str, tmp_path: Path) -> None:
    """Nothing was sent."""
    client = HttpClient(lambda: tls_context(str(tmp_path / "none.pem")))
    attempt = MAKERS[name]("https://127.0.0.1:1", client).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "not connected: FileNotFoundError"


@each_gateway
def test_an_unexpected_exception_is_an_outcome(name: str) -> None:
    """A gateway raises nothing, and the exception's text is not quoted."""

    def fail() -> ssl.SSLContext:
        raise RuntimeError(SMS.text)

    attempt = MAKERS[name]("https://127.0.0.1:1", HttpClient(fail)).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert attempt.reason == "no answer: RuntimeError"


class _Broken(HttpClient):
    def request(self, *_: object, **__: object) -> Response:
        raise RuntimeError(SMS.text)


@each_gateway
def test_a_failing_client_is_an_outcome(name: str) -> None:
    """Only the exception's class is kept."""
    attempt = MAKERS[name]("http://127.0.0.1:1", _Broken()).send(SMS)
    assert attempt == Attempt(name, Outcome.UNKNOWN, reason="no answer: RuntimeError")


UNREADABLE_BODIES = {
    "aliyun": [b'{"Code": null}', b'{"Code": "+8613800001234 is bad"}'],
    "tencent": [
        b'{"Response": []}',
        b'{"Response": {"SendStatusSet": []}}',
        b'{"Response": {"SendStatusSet": [7]}}',
        b'{"Response": {"Error": {"Code": "+8613800001234 012345"}}}',
        json.dumps({"Response": {"SendStatusSet": [{"Code": "Ok"}, {"Code": "Ok"}]}}).encode(),
    ],
}


@each_template_gateway
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.UNKNOWN),
        (201, Outcome.UNKNOWN),
        (299, Outcome.UNKNOWN),
        (300, Outcome.TRY_ANOTHER),
        (400, Outcome.TRY_ANOTHER),
        (404, Outcome.TRY_ANOTHER),
        (500, Outcome.TRY_ANOTHER),
        (503, Outcome.TRY_ANOTHER),
    ],
)
def test_an_unreadable_response_counts_by_its_status(
    name: str, status: int, outcome: Outcome
) -> None:
    """A 2xx may have been a success, so nothing is sent again; another status was none."""
    bodies = [b"<html>", b"", b"{}", b"[]", b"null", b"[" * 60_000, b"\xff", b'{"Code": "']
    for body in [*bodies, *UNREADABLE_BODIES[name]]:
        with serving(lambda _, body=body: (status, body)) as server:  # type: ignore[misc]
            attempt = MAKERS[name](server.url).send(SMS)
        assert attempt == Attempt(name, outcome, reason=f"HTTP {status}, unreadable"), body


@each_template_gateway
@pytest.mark.parametrize("broken", [b"\x00\n\x1b", "签名".encode("gbk"), b"\xed\xa0\xbd"], ids=repr)
def test_broken_text_in_a_response_does_not_hide_its_code(name: str, broken: bytes) -> None:
    """A refusal that is not read would count as a message that may have been sent."""
    make = {"aliyun": aliyun_body, "tencent": tencent_body}[name]
    for code, outcome in (("isv.MOBILE_COUNT_OVER_LIMIT", Outcome.TRY_ANOTHER), ("", Outcome.SENT)):
        body = make(code) if code else ACCEPTED[name]
        body = body.replace(b'"Message": "', b'"Message": "' + broken)
        assert broken in body
        with serving(lambda _, body=body: (200, b"\xef\xbb\xbf" + body)) as server:  # type: ignore[misc]
            assert MAKERS[name](server.url).send(SMS).outcome is outcome


@each_template_gateway
@pytest.mark.parametrize(("padding", "outcome"), [(1_000, Outcome.SENT), (70_000, Outcome.UNKNOWN)])
def test_a_response_is_read_up_to_a_limit(name: str, padding: int, outcome: Outcome) -> None:
    """What exceeds it is ignored; no vendor's response is that long."""
    with serving(lambda _: (200, b" " * padding + ACCEPTED[name])) as server:
        assert MAKERS[name](server.url).send(SMS).outcome is outcome


@each_template_gateway
def test_a_missing_template_fails_over(name: str) -> None:
    """Nothing is sent, and the reason names the template."""
    notice = Sms(SMS.to, SMS.text, "password-reset", {}, "r")
    with serving(lambda _: (200, ACCEPTED[name])) as server:
        attempt = MAKERS[name](server.url).send(notice)
    assert attempt == Attempt(name, Outcome.TRY_ANOTHER, reason="no template for password-reset")
    assert server.received == []


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


def test_any_json_is_an_outcome() -> None:
    """No value raises, and none carries the phone or a line break into a record."""
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
