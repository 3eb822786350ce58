"""All gateways' common behaviour, the two without a vendor, and failover."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from chalicelib.container import Service
from chalicelib.domain.errors import DeliveryFailed
from chalicelib.settings import GATEWAYS, load
from chalicelib.sms import http as signing
from chalicelib.sms.aliyun import Aliyun
from chalicelib.sms.console import Console
from chalicelib.sms.failover import Failover
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.sms.http import Http
from chalicelib.sms.sns import Sns, sns_config
from chalicelib.sms.tencent import Tencent
from tests.support.http_server import serving
from tests.support.sms_cases import (
    ACCEPTED,
    MAKERS,
    PHONE,
    SMS,
    aliyun,
    aliyun_body,
    http,
    quotes_the_message,
    tencent,
    tencent_body,
)

CLASSES: tuple[type[Sns | Aliyun | Tencent | Http | Console], ...] = (
    Sns,
    Aliyun,
    Tencent,
    Http,
    Console,
)


def test_the_setting_names_every_gateway_and_no_other() -> None:
    """SMS_GATEWAYS and the classes have the same names, each once."""
    assert sorted(gateway.name for gateway in CLASSES) == sorted(GATEWAYS)


def test_each_name_builds_the_gateway_of_that_name() -> None:
    """They send in the order of SMS_GATEWAYS."""
    settings = {
        "SITE_URL": "https://recovery.example",
        "SIGNING_KEYS": "s" * 32,
        "CODE_PEPPER": "p" * 32,
        "WECHAT_APP_ID": "wx0123456789abcdef",
        "WECHAT_APP_SECRET": "w" * 32,
        "WECHAT_TOKEN": "callbacktoken",
        "WECHAT_AES_KEY": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "SMS_GATEWAYS": ",".join(GATEWAYS),
        "SMS_ALIYUN_KEY_ID": "i",
        "SMS_ALIYUN_KEY_SECRET": "s",
        "SMS_ALIYUN_TEMPLATES": "code=SMS_1",
        "SMS_TENCENT_KEY_ID": "i",
        "SMS_TENCENT_KEY_SECRET": "s",
        "SMS_TENCENT_APP_ID": "1400000001",
        "SMS_TENCENT_TEMPLATES": "code=1",
        "SMS_HTTP_URL": "https://vendor.example/sms",
        "SMS_HTTP_SECRET": "s",
    }
    built = Service(load(settings)).sms._gateways
    assert [gateway.name for gateway in built] == list(GATEWAYS)
    assert {type(gateway) for gateway in built} == set(CLASSES)


def test_http_posts_the_documented_body_with_its_signature() -> None:
    """The receiver can check the body with nothing but the shared secret."""
    with serving(lambda _: (202, b'{"id": "m-1"}')) as server:
        attempt = http(server.url + "/sms").send(SMS)
    (received,) = server.received
    assert attempt == Attempt("http", Outcome.SENT, message_id="m-1")
    assert (received.method, received.path) == ("POST", "/sms")
    assert (
        received.headers["x-signature"]
        == hmac.new(b"secret", received.body, hashlib.sha256).hexdigest()
    )
    assert received.headers["content-type"].startswith("application/json")
    assert json.loads(received.body) == {
        "to": SMS.to,
        "text": SMS.text,
        "template": "code",
        "params": dict(SMS.params),
    }


def test_http_s_signature_is_that_of_rfc_4231() -> None:
    """Test case 2 of RFC 4231, HMAC-SHA256."""
    assert (
        signing.signature("Jefe", b"what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SENT),
        (204, Outcome.SENT),
        (299, Outcome.SENT),
        (301, Outcome.TRY_ANOTHER),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (429, Outcome.REFUSED),
        (500, Outcome.TRY_ANOTHER),
        (504, Outcome.TRY_ANOTHER),
    ],
)
def test_http_decides_by_the_status(status: int, outcome: Outcome) -> None:
    """Any 2xx is accepted, 4xx is final and the rest fails over, whatever the body."""
    body = b"" if status == 204 else f"<p>{SMS.to}</p>".encode()
    with serving(lambda _: (status, body)) as server:
        attempt = http(server.url).send(SMS)
    reason = "" if outcome is Outcome.SENT else f"HTTP {status}"
    assert attempt == Attempt("http", outcome, reason=reason)


@pytest.mark.parametrize("given_", [7, None, "", "two words", "\n", PHONE * 9, {"a": 1}])
def test_a_malformed_message_id_is_left_out(given_: Any) -> None:
    """The message was accepted all the same."""
    with serving(lambda _: (200, json.dumps({"id": given_}).encode())) as server:
        assert http(server.url).send(SMS) == Attempt("http", Outcome.SENT)


def test_the_console_prints_one_line() -> None:
    """It begins with the sign, as on a phone."""
    stream = io.StringIO()
    assert Console(stream, "示例").send(SMS) == Attempt("console", Outcome.SENT)
    assert stream.getvalue() == f"SMS +8613800001234 【示例】{SMS.text}\n"


@pytest.mark.parametrize("encoding", ["ascii", "closed"])
def test_a_failing_terminal_fails_over(encoding: str) -> None:
    """A closed stream, and one without Chinese."""
    if encoding == "closed":
        stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
        stream.close()
    else:
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
    attempt = Console(stream, "示例").send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert not quotes_the_message(repr(attempt))


def test_a_message_shows_neither_its_code_nor_its_text_when_printed() -> None:
    """A log line with the message contains no code."""
    assert SMS.params["code"] not in repr(SMS)
    assert SMS.text not in repr(SMS)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("works", [True, False])
def test_no_library_logs_the_message(
    name: str, works: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Aliyun's URL contains phone and code, and urllib3 logs URLs at its lower levels."""
    caplog.set_level(logging.DEBUG)
    with serving(lambda _: (200, ACCEPTED[name]) if works else None) as server:
        MAKERS[name](server.url).send(SMS)
    logging.getLogger("test").debug("logs are taken")
    assert "logs are taken" in caplog.text
    assert not quotes_the_message(caplog.text)


@mock_aws
def test_botocore_does_not_log_the_message(caplog: pytest.LogCaptureFixture) -> None:
    """Its debug log contains the parameters of every call."""
    caplog.set_level(logging.DEBUG)
    attempt = Sns(lambda: boto3.client("sns", "us-east-1", config=sns_config()), "s").send(SMS)
    logging.getLogger("test").debug("logs are taken")
    assert attempt.outcome is Outcome.SENT
    assert "logs are taken" in caplog.text
    assert not quotes_the_message(caplog.text)


class _Scripted:
    def __init__(self, name: str, outcome: Outcome) -> None:
        self.name, self.outcome, self.got = name, outcome, list[Sms]()

    def send(self, sms: Sms) -> Attempt:
        self.got.append(sms)
        return Attempt(self.name, self.outcome, message_id=self.name, reason="scripted")


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=6))
def test_failover_goes_on_only_while_nothing_was_sent(
    outcomes: list[Outcome],
) -> None:
    """For any gateways: each is called once, up to the first that settles the message."""
    gateways = [_Scripted(f"g{i}", outcome) for i, outcome in enumerate(outcomes)]
    settled = [o is not Outcome.TRY_ANOTHER for o in outcomes]
    asked = settled.index(True) + 1 if True in settled else len(outcomes)
    failover = Failover(gateways)
    assert failover.first == "g0"
    if outcomes[asked - 1] in (Outcome.SENT, Outcome.UNKNOWN):
        delivery = failover.send(SMS)
        assert [attempt.gateway for attempt in delivery.attempts] == [
            gateway.name for gateway in gateways[:asked]
        ]
        assert delivery.settled.outcome is outcomes[asked - 1]
    else:
        with pytest.raises(DeliveryFailed) as caught:
            failover.send(SMS)
        assert caught.value.attempts == tuple(
            f"g{i}: {outcome} scripted" for i, outcome in enumerate(outcomes[:asked])
        )
    assert [gateway.got for gateway in gateways] == [
        [SMS] if i < asked else [] for i in range(len(gateways))
    ]


def test_failover_requires_a_gateway() -> None:
    """An empty list is a fault of the settings, found at the start."""
    with pytest.raises(ValueError, match="at least one"):
        Failover([])


FIRST: list[tuple[Any, list[str], Outcome | None]] = [
    ((200, aliyun_body("OK")), ["aliyun"], Outcome.SENT),
    ((200, aliyun_body("isv.AMOUNT_NOT_ENOUGH")), ["aliyun", "tencent"], Outcome.SENT),
    ((200, aliyun_body("isv.BUSINESS_LIMIT_CONTROL")), ["aliyun", "tencent"], Outcome.SENT),
    ((502, b""), ["aliyun", "tencent"], Outcome.SENT),
    (None, ["aliyun"], Outcome.UNKNOWN),
    ((200, b"<html>"), ["aliyun"], Outcome.UNKNOWN),
    ((200, aliyun_body("isv.MOBILE_NUMBER_ILLEGAL")), ["aliyun"], None),
]


@pytest.mark.parametrize(("reply", "asked", "outcome"), FIRST)
def test_one_phone_never_gets_two_messages(
    reply: Any, asked: list[str], outcome: Outcome | None
) -> None:
    """With real gateways: the second vendor is called only if the first has no message."""
    second: Callable[[Any], Any] = lambda _: (200, tencent_body("Ok"))  # noqa: E731
    with serving(lambda _: reply) as one, serving(second) as two:
        failover = Failover([aliyun(one.url), tencent(two.url)])
        if outcome is None:
            with pytest.raises(DeliveryFailed) as caught:
                failover.send(SMS)
            assert not quotes_the_message(str(caught.value))
        else:
            delivery = failover.send(SMS)
            assert [attempt.gateway for attempt in delivery.attempts] == asked
            assert delivery.settled.outcome is outcome
    assert [len(one.received), len(two.received)] == [1, len(asked) - 1]
