"""Each gateway against a server that checks its signature, and against the vendor's own SDK."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
import requests
from alibabacloud_tea_openapi.utils import Utils as AliyunSdk
from botocore.stub import Stubber
from darabonba.request import DaraRequest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from tencentcloud.common.credential import Credential
from tencentcloud.sms.v20210111 import sms_client as tencent_sdk

from chalicelib.domain.errors import DeliveryFailed
from chalicelib.settings import GATEWAYS
from chalicelib.sms import aliyun, http, tencent, wire
from chalicelib.sms.aliyun import Aliyun
from chalicelib.sms.console import Console
from chalicelib.sms.failover import Failover
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.sms.http import Http
from chalicelib.sms.sns import Sns, sns_config
from chalicelib.sms.tencent import Tencent
from tests.loopback import Received, Reply, serving

NOW = 1_800_000_000
SMS = Sms(
    to="+8613800001234",
    text="您正在找回账号11010148的登录密码，验证码012345，5分钟内有效。",
    template="code",
    params={"login": "11010148", "code": "012345", "minutes": "5"},
    reference="11010148/1800000000000-abc",
)
SESSION = requests.Session()
SESSION.trust_env = False


def _http(url: str) -> Http:
    return Http(url, "secret", lambda: SESSION)


def _aliyun(url: str) -> Aliyun:
    return Aliyun(
        "key-id", "key-secret", url, "示例签名", {"code": "SMS_1"},
        lambda: SESSION, lambda: NOW, lambda: "nonce",
    )  # fmt: skip


def _tencent(url: str) -> Tencent:
    return Tencent(
        "key-id", "key-secret", "1400000001", "ap-guangzhou", url, "示例签名", {"code": "7"},
        lambda: SESSION, lambda: NOW,
    )  # fmt: skip


def _tencent_body(code: str) -> bytes:
    status = {"SerialNo": "2640:1", "PhoneNumber": SMS.to, "Code": code, "Message": SMS.to}
    return json.dumps({"Response": {"SendStatusSet": [status], "RequestId": "rid-1"}}).encode()


def _aliyun_body(code: str) -> bytes:
    return json.dumps(
        {"Code": code, "Message": SMS.to, "RequestId": "rid-1", "BizId": "900619746936498440^0"}
    ).encode()


MAKERS: dict[str, Callable[[str], Any]] = {"http": _http, "aliyun": _aliyun, "tencent": _tencent}
ACCEPTED = {"http": b"{}", "aliyun": _aliyun_body("OK"), "tencent": _tencent_body("Ok")}


def test_the_setting_names_every_gateway_and_no_other() -> None:
    """SMS_GATEWAYS and the classes say the same names."""
    assert {g.name for g in (Sns, Aliyun, Tencent, Http, Console)} == set(GATEWAYS)


def test_http_posts_the_documented_body_with_its_signature() -> None:
    """The receiver can check the body with nothing but the shared secret."""
    with serving(lambda _: (202, b'{"id": "m-1"}')) as server:
        attempt = _http(server.url).send(SMS)
    received = server.received[0]
    assert attempt == Attempt("http", Outcome.SENT, message_id="m-1")
    assert received.headers["x-signature"] == http.signature("secret", received.body)
    assert json.loads(received.body) == {
        "to": SMS.to,
        "text": SMS.text,
        "template": "code",
        "params": dict(SMS.params),
    }


def test_aliyun_sends_what_the_vendor_documents() -> None:
    """The request carries template, sign and reference, and a signature that the SDK also makes."""
    with serving(lambda _: (200, ACCEPTED["aliyun"])) as server:
        attempt = _aliyun(server.url).send(SMS)
    received = server.received[0]
    query = dict(parse_qsl(urlsplit(received.path).query))
    assert attempt == Attempt("aliyun", Outcome.SENT, message_id="900619746936498440^0")
    assert query["PhoneNumbers"] == "13800001234"
    assert query["TemplateCode"] == "SMS_1"
    assert query["OutId"] == SMS.reference
    assert json.loads(query["TemplateParam"]) == dict(SMS.params)
    assert received.headers["authorization"] == _aliyun_sdk(query, received)


def _aliyun_sdk(query: dict[str, str], received: Received) -> str:
    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", query
    request.headers = {
        name: value
        for name, value in received.headers.items()
        if name.startswith("x-acs-") or name == "host"
    }
    payload = received.headers["x-acs-content-sha256"]
    return str(
        AliyunSdk.get_authorization(request, aliyun.ALGORITHM, payload, "key-id", "key-secret")
    )


def test_tencent_sends_what_the_vendor_documents() -> None:
    """Values go by position, and the reference comes back in the receipt."""
    with serving(lambda _: (200, ACCEPTED["tencent"])) as server:
        attempt = _tencent(server.url).send(SMS)
    received = server.received[0]
    assert attempt == Attempt("tencent", Outcome.SENT, message_id="2640:1")
    body = json.loads(received.body)
    assert body["TemplateParamSet"] == ["11010148", "012345", "5"]
    assert body["SessionContext"] == SMS.reference
    assert body["PhoneNumberSet"] == [SMS.to]
    assert received.headers["authorization"] == tencent.authorization(
        "key-id", "key-secret", received.headers["host"], received.body, NOW
    )


FIELDS = ["PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    )
)
def test_the_aliyun_signer_agrees_with_the_sdk(query: dict[str, str]) -> None:
    """Any texts in any order: the same Authorization header as the official SDK's."""
    headers = {
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": "e3b0c442",
        "x-acs-date": "2027-01-15T08:00:00Z",
    }
    request = DaraRequest()
    request.method, request.pathname = "POST", "/"
    request.query, request.headers = query, headers
    theirs = AliyunSdk.get_authorization(request, aliyun.ALGORITHM, "e3b0c442", "id", "secret")
    assert aliyun.authorization("id", "secret", "POST", query, headers) == theirs


@given(st.text(max_size=40), st.integers(1_500_000_000, 2_500_000_000))
def test_the_tencent_signer_agrees_with_the_sdk(text: str, now: int) -> None:
    """Any body at any time: the same Authorization header as the official SDK's."""
    body = json.dumps({"text": text}).encode()
    client = tencent_sdk.SmsClient(Credential("id", "secret"), "ap-guangzhou")
    request = tencent_sdk.AbstractClient._build_req_with_tc3_signature.__globals__[
        "RequestInternal"
    ]("sms.tencentcloudapi.com", "POST", "/")
    request.data = body
    request.header.update({"Content-Type": "application/json", "Host": "sms.tencentcloudapi.com"})
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    request.header["X-TC-Timestamp"] = str(now)
    theirs = client._get_tc3_signature({}, request, date, "sms", "secret")
    ours = tencent.authorization("id", "secret", "sms.tencentcloudapi.com", body, now)
    assert ours.endswith(f"Signature={theirs}")
    assert f"Credential=id/{date}/sms/tc3_request" in ours


REFUSALS = [
    ("http", 400, b"", Outcome.REFUSED),
    ("http", 503, b"", Outcome.TRY_ANOTHER),
    ("http", 302, b"", Outcome.TRY_ANOTHER),
    ("aliyun", 200, _aliyun_body("isv.MOBILE_NUMBER_ILLEGAL"), Outcome.REFUSED),
    ("aliyun", 200, _aliyun_body("isv.BUSINESS_LIMIT_CONTROL"), Outcome.TRY_ANOTHER),
    ("aliyun", 200, _aliyun_body("isv.AMOUNT_NOT_ENOUGH"), Outcome.TRY_ANOTHER),
    ("aliyun", 400, _aliyun_body("SignatureDoesNotMatch"), Outcome.TRY_ANOTHER),
    ("aliyun", 200, b"<html>", Outcome.UNKNOWN),
    ("aliyun", 502, b"<html>", Outcome.TRY_ANOTHER),
    ("tencent", 200, _tencent_body("FailedOperation.PhoneNumberInBlacklist"), Outcome.REFUSED),
    ("tencent", 200, _tencent_body("LimitExceeded.PhoneNumberDailyLimit"), Outcome.TRY_ANOTHER),
    (
        "tencent",
        200,
        b'{"Response": {"Error": {"Code": "AuthFailure.SignatureFailure"}, "RequestId": "r"}}',
        Outcome.TRY_ANOTHER,
    ),
    ("tencent", 200, b"[]", Outcome.UNKNOWN),
    ("tencent", 500, b"", Outcome.TRY_ANOTHER),
]


@pytest.mark.parametrize(("name", "status", "body", "outcome"), REFUSALS)
def test_a_vendor_s_answer_becomes_the_right_outcome(
    name: str, status: int, body: bytes, outcome: Outcome
) -> None:
    """HTTP 200 is not yet sent; and no reason ever holds the number that a vendor's words quote."""
    with serving(lambda _: (status, body)) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is outcome
    assert attempt.reason
    assert "13800001234" not in attempt.reason
    assert len(server.received) == 1


@pytest.mark.parametrize("name", MAKERS)
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
    assert len(server.received) == 1


@pytest.mark.parametrize("name", MAKERS)
def test_a_connection_that_breaks_leaves_the_outcome_unknown(name: str) -> None:
    """The vendor took the request and hung up."""
    with serving(lambda _: None) as server:
        attempt = MAKERS[name](server.url).send(SMS)
    assert attempt.outcome is Outcome.UNKNOWN
    assert len(server.received) == 1


@pytest.mark.parametrize("name", MAKERS)
def test_a_vendor_that_is_not_there_lets_the_next_one_try(name: str) -> None:
    """Nothing was sent where nothing was connected."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert MAKERS[name](url).send(SMS).outcome is Outcome.TRY_ANOTHER


@pytest.mark.parametrize("name", MAKERS)
def test_a_server_without_tls_is_not_spoken_to(name: str) -> None:
    """TLS is checked: a plain server under an https address gets no message."""
    with serving(lambda _: (200, ACCEPTED[name])) as server:
        attempt = MAKERS[name](server.url.replace("http:", "https:")).send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "TLS failure"


@pytest.mark.parametrize("name", ["aliyun", "tencent"])
def test_a_template_that_was_not_filed_lets_the_next_one_try(name: str) -> None:
    """The other vendor may have it."""
    notice = Sms(SMS.to, SMS.text, "password-reset", {}, "r")
    attempt = MAKERS[name]("http://127.0.0.1:9").send(notice)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert "password-reset" in attempt.reason


@mock_aws
def test_sns_publishes_and_respects_an_opt_out() -> None:
    """A number that opted out is refused for good; another one gets its message."""
    client = boto3.client("sns", region_name="us-east-1", config=sns_config())
    gateway = Sns(lambda: client, "示例签名")
    sent = gateway.send(SMS)
    assert sent.outcome is Outcome.SENT
    assert sent.message_id


SNS_ERRORS = [
    ("OptedOut", Outcome.REFUSED),
    ("InvalidParameter", Outcome.REFUSED),
    ("Throttling", Outcome.TRY_ANOTHER),
    ("InternalError", Outcome.TRY_ANOTHER),
    ("AuthorizationError", Outcome.TRY_ANOTHER),
]


@pytest.mark.parametrize(("code", "outcome"), SNS_ERRORS)
def test_an_error_of_sns_becomes_the_right_outcome(code: str, outcome: Outcome) -> None:
    """A number's own fault ends the send, the service's fault does not."""
    client = boto3.client("sns", region_name="us-east-1", config=sns_config())
    with Stubber(client) as stubber:
        stubber.add_client_error("publish", service_error_code=code)
        attempt = Sns(lambda: client, "s").send(SMS)
    assert (attempt.outcome, attempt.reason) == (outcome, code)


@pytest.mark.parametrize(
    ("answer", "outcome"), [(None, Outcome.UNKNOWN), (503, Outcome.TRY_ANOTHER)]
)
def test_sns_is_asked_once(answer: int | None, outcome: Outcome) -> None:
    """botocore's own repeats are off: each would be another SMS."""
    with serving(lambda _: None if answer is None else (answer, b"")) as server:
        client = boto3.client(
            "sns", region_name="us-east-1", config=sns_config(), endpoint_url=server.url
        )
        attempt = Sns(lambda: client, "s").send(SMS)
    assert attempt.outcome is outcome
    assert len(server.received) == 1


def test_the_console_prints_one_line_and_survives_a_closed_terminal() -> None:
    """A developer reads the code there; a stream that is gone is a gateway that can't now."""
    stream = io.StringIO()
    assert Console(stream, "示例").send(SMS).outcome is Outcome.SENT
    assert stream.getvalue() == f"SMS +8613800001234 【示例】{SMS.text}\n"
    stream.close()
    assert Console(stream, "示例").send(SMS).outcome is Outcome.TRY_ANOTHER


class _Scripted:
    def __init__(self, name: str, outcome: Outcome) -> None:
        self.name, self.outcome, self.asked = name, outcome, 0

    def send(self, sms: Sms) -> Attempt:
        self.asked += 1
        return Attempt(self.name, self.outcome, reason="scripted")


@pytest.mark.parametrize("last", [Outcome.SENT, Outcome.UNKNOWN])
def test_failover_goes_on_until_somebody_has_it(last: Outcome) -> None:
    """The next gateway is asked while one can't; a silent one settles the matter as sent."""
    first, second, third = (
        _Scripted("a", Outcome.TRY_ANOTHER), _Scripted("b", last), _Scripted("c", Outcome.SENT),
    )  # fmt: skip
    delivery = Failover([first, second, third]).send(SMS)
    assert [attempt.gateway for attempt in delivery.attempts] == ["a", "b"]
    assert delivery.settled.outcome is last
    assert third.asked == 0


def test_failover_stops_at_a_final_refusal_and_names_every_attempt() -> None:
    """A bad number is bad everywhere; the error tells whom we asked and what they said."""
    gateways = [_Scripted("a", Outcome.TRY_ANOTHER), _Scripted("b", Outcome.REFUSED)]
    never = _Scripted("c", Outcome.SENT)
    with pytest.raises(DeliveryFailed) as caught:
        Failover([*gateways, never]).send(SMS)
    assert caught.value.attempts == ("a: try-another scripted", "b: refused scripted")
    assert never.asked == 0


def test_a_message_shows_neither_its_code_nor_its_text_when_printed() -> None:
    """A log line that prints the message by mistake gives no code away."""
    assert "012345" not in repr(SMS)
