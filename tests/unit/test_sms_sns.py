"""Amazon SNS: moto for successes, a loopback server and stubs for failures."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError, NoRegionError
from botocore.stub import Stubber
from moto import mock_aws
from moto.sns.models import sns_backends

from chalicelib.http_client import OutcomeUnknown, RequestNotSent, Timeouts
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.sms.sns import FINAL, Sns, sns_config
from tests.support.http_cases import UNANSWERED, UNSENT, Case, answering, ok, over_tls, raw_server
from tests.support.http_server import self_signed, serving
from tests.support.sms_cases import SMS, quotes_the_message
from tests.support.sms_codes import SNS_ERRORS

ACCOUNT, REGION = "123456789012", "us-east-1"
TAKEN = b"""<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
<PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
<ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>
</PublishResponse>"""


def _client(url: str | None = None) -> Any:
    return boto3.client("sns", region_name=REGION, config=sns_config(), endpoint_url=url)


def _gateway(url: str | None = None) -> Sns:
    return Sns(lambda: _client(url), "示例签名")


def _error(code: str, message: str = "") -> bytes:
    return (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>9c7e2f1a-0000-5000-8000-000000000000</RequestId></ErrorResponse>"
    ).encode()


@pytest.fixture
def moto() -> Iterator[Any]:
    """Moto's SNS of the region."""
    with mock_aws():
        yield sns_backends[ACCOUNT][REGION]


def test_the_message_goes_to_the_phone_with_its_sign(moto: Any) -> None:
    """The text begins with the sign; the message has the id that delivery logs use."""
    attempt = _gateway().send(SMS)
    assert attempt.outcome is Outcome.SENT
    assert moto.sms_messages == {attempt.message_id: (SMS.to, f"【示例签名】{SMS.text}")}


def test_the_message_is_transactional() -> None:
    """Carriers deliver promotional messages late or, at night, not at all."""
    client = _client()
    with Stubber(client) as stubber:
        stubber.add_response(
            "publish",
            {"MessageId": "m-1"},
            {
                "PhoneNumber": SMS.to,
                "Message": f"【示例签名】{SMS.text}",
                "MessageAttributes": {
                    "AWS.SNS.SMS.SMSType": {
                        "DataType": "String",
                        "StringValue": "Transactional",
                    }
                },
            },
        )
        attempt = Sns(lambda: client, "示例签名").send(SMS)
    assert attempt == Attempt("sns", Outcome.SENT, message_id="m-1")


def test_an_accepted_message_to_an_opted_out_number_counts_as_sent(moto: Any) -> None:
    """Publishing ignores opt-outs; the delivery log reports a failure later."""
    number = "+8613800000099"
    assert _client().check_if_phone_number_is_opted_out(phoneNumber=number)["isOptedOut"]
    attempt = _gateway().send(Sms(number, "t", "code", {}, "r"))
    assert attempt.outcome is Outcome.SENT
    assert attempt.message_id in moto.sms_messages


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (f"Invalid parameter: Phone number is opted out: {SMS.to}", Outcome.REFUSED),
        (
            f"Invalid parameter: PhoneNumber Reason: {SMS.to} is not valid to publish to",
            Outcome.TRY_ANOTHER,
        ),
        ("Invalid parameter: Message too long", Outcome.TRY_ANOTHER),
        ("Invalid parameter: PhoneNumber", Outcome.TRY_ANOTHER),
    ],
)
def test_an_invalid_parameter_is_final_only_for_an_opted_out_number(
    message: str, outcome: Outcome
) -> None:
    """A region without SMS answers with the same code, and with the same text as for a bad number.

    AWS's text quotes the number, so only its code and the request's id are kept.
    Source: github.com/aws/aws-sdk-js/issues/1217 (the region was us-west-1).
    """
    with serving(lambda _: (400, _error("InvalidParameter", message))) as server:
        attempt = _gateway(server.url).send(SMS)
    assert attempt == Attempt(
        "sns",
        outcome,
        reason="InvalidParameter 9c7e2f1a-0000-5000-8000-000000000000",
    )
    assert not quotes_the_message(repr(attempt))


@pytest.mark.parametrize(("code", "status", "outcome"), SNS_ERRORS)
def test_each_error_of_sns_has_its_outcome(code: str, status: int, outcome: Outcome) -> None:
    """Faults of the number end the send; those of the account and the service do not."""
    client = _client()
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "publish", service_error_code=code, service_message=SMS.text, http_status_code=status
        )
        attempt = Sns(lambda: client, "s").send(SMS)
    assert (attempt.outcome, attempt.reason) == (outcome, code)


def test_the_final_codes_are_those_of_the_service() -> None:
    """Botocore's model of SNS has each of them; a misspelt one would never match."""
    model = _client().meta.service_model
    assert {shape.error_code for shape in model.error_shapes} >= FINAL
    publish = {shape.error_code for shape in model.operation_model("Publish").error_shapes}
    assert {code for code, _, _ in SNS_ERRORS} >= publish


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((200, TAKEN), Outcome.SENT),
        ((200, b"<html>"), Outcome.UNKNOWN),
        ((200, b"<PublishResponse/>"), Outcome.UNKNOWN),
        ((500, _error("InternalError")), Outcome.TRY_ANOTHER),
        ((503, b""), Outcome.TRY_ANOTHER),
        ((429, _error("Throttled")), Outcome.TRY_ANOTHER),
        (None, Outcome.UNKNOWN),
    ],
)
def test_sns_is_called_once(reply: Any, outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore's retries are off, whatever the environment: each would be another SMS."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
    with serving(lambda _: reply) as server:
        attempt = _gateway(server.url).send(SMS)
    assert attempt.outcome is outcome
    assert len(server.received) == 1
    assert not quotes_the_message(repr(attempt))


def test_each_message_has_its_own_client() -> None:
    """No connection is left open that may be closed before the next message."""
    made: list[Any] = []

    def make() -> Any:
        client = _client(server.url)
        client.close = mock.Mock(wraps=client.close)
        made.append(client)
        return client

    with serving(lambda _: (200, TAKEN)) as server:
        gateway = Sns(make, "s")
        assert [gateway.send(SMS).outcome for _ in range(2)] == [Outcome.SENT] * 2
    assert [client.close.call_count for client in made] == [1, 1]


def test_a_client_that_cannot_be_made_fails_over() -> None:
    """Without a region, for example, nothing has been sent."""

    def fail() -> Any:
        raise NoRegionError

    assert Sns(fail, "s").send(SMS) == Attempt("sns", Outcome.TRY_ANOTHER, reason="NoRegionError")


def test_missing_credentials_fail_over() -> None:
    """Botocore raises before it sends anything."""
    client = _client()
    with mock.patch.object(client, "publish", side_effect=NoCredentialsError):
        attempt = Sns(lambda: client, "s").send(SMS)
    assert attempt == Attempt("sns", Outcome.TRY_ANOTHER, reason="NoCredentialsError")


def test_a_parameter_that_botocore_refuses_fails_over() -> None:
    """Its text quotes the parameter, so only the class is kept."""
    number: Any = 13800001234
    attempt = _gateway("http://127.0.0.1:9").send(Sms(number, "t", "code", {}, "r"))
    assert attempt == Attempt("sns", Outcome.TRY_ANOTHER, reason="ParamValidationError")


# Whether the message has left, over real sockets.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "sns.pem")


def _gateway_of(url: str, timeouts: Timeouts, authorities: Path | None = None) -> Sns:
    """Return a gateway that trusts this certificate, with these time-outs."""
    times = Config(connect_timeout=timeouts.connect, read_timeout=timeouts.answer)
    config = sns_config().merge(times)
    verify = str(authorities) if authorities else None
    return Sns(
        lambda: boto3.client("sns", REGION, config=config, endpoint_url=url, verify=verify), "s"
    )


# botocore bounds each read of an answer, and not the whole.
_UNBOUNDED = {"trickling head", "endless 100", "trickling 100"}
_BAD = [case for case in (*UNSENT, *UNANSWERED) if case.name not in _UNBOUNDED]


@pytest.mark.parametrize("case", _BAD, ids=str)
def test_a_bad_server(case: Case, certificate: Path) -> None:
    """Botocore raises the same classes for a failed handshake and for a failed response."""
    with case.running(certificate) as (url, server):
        attempt = _gateway_of(url, case.timeouts, certificate).send(SMS)
    unsent = case.expected is RequestNotSent
    assert unsent or case.expected is OutcomeUnknown
    assert attempt.outcome is (Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN), attempt
    assert server.accepted == 1
    assert not quotes_the_message(repr(attempt))


def test_a_good_server_over_tls(certificate: Path) -> None:
    """The counterpart of the cases above: the message is sent once and complete."""
    with raw_server(over_tls(certificate, answering(ok(TAKEN)))) as server:
        gateway = _gateway_of(f"https://{server.address}", Timeouts(30, 30), certificate)
        assert gateway.send(SMS).outcome is Outcome.SENT
    (request,) = server.received
    assert b"Action=Publish" in request
    assert b"PhoneNumber=%2B86" in request


def test_an_untrusted_certificate_fails_over(certificate: Path) -> None:
    """Certificates are checked before anything is sent."""
    with raw_server(over_tls(certificate, answering(ok(TAKEN)))) as server:
        attempt = _gateway_of(f"https://{server.address}", Timeouts(30, 30)).send(SMS)
    assert attempt == Attempt("sns", Outcome.TRY_ANOTHER, reason="SSLError")
    assert server.received == []


def test_a_closed_port_fails_over() -> None:
    """Without a connection nothing was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        attempt = _gateway(f"http://127.0.0.1:{unused.getsockname()[1]}").send(SMS)
    assert attempt == Attempt("sns", Outcome.TRY_ANOTHER, reason="EndpointConnectionError")


def test_an_unreachable_proxy_fails_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Botocore uses the environment's proxies."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    attempt = _gateway("https://sns.invalid").send(SMS)
    assert attempt == Attempt("sns", Outcome.TRY_ANOTHER, reason="ProxyConnectionError")


def test_a_failure_of_an_unknown_class_leaves_the_outcome_unknown() -> None:
    """Neither the class nor the request proves that nothing was sent."""
    client = _client()
    with mock.patch.object(client, "publish", side_effect=RuntimeError(SMS.text)):
        attempt = Sns(lambda: client, "s").send(SMS)
    assert attempt == Attempt("sns", Outcome.UNKNOWN, reason="RuntimeError")
