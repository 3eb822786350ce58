"""Tencent Cloud: the request against the official SDK, and every documented answer."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.common import abstract_client
from tencentcloud.common.credential import Credential
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient

from chalicelib.http_client import HttpClient, RequestNotSent
from chalicelib.sms import tencent as signing
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from tests.support.http_server import Received, Reply, serving
from tests.support.sms_cases import (
    NOW,
    SMS,
    quotes_the_message,
    tencent,
    tencent_body,
    tencent_error,
)
from tests.support.sms_codes import TENCENT_COMMON, TENCENT_OF_SMS

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["【中注协】", "“引号”", 'a"b\\c', "\n\t", "𠮷", "+8613800001234"]
)


def _sdk_request(host: str, fields: dict[str, Any], now: int, secret: str) -> RequestInternal:
    """Return the SDK's own signed request for a given time, before it is sent."""
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=host))
    client = SmsClient(Credential("key-id", secret), "ap-guangzhou", profile)
    request = RequestInternal(host, "POST", "/", header={})
    with mock.patch.object(abstract_client.time, "time", return_value=now):
        client._build_req_with_tc3_signature("SendSms", fields, request)
    return request


def _vendor(received: Received) -> Reply:
    """Check the signature by the vendor's own code, as the vendor does."""
    client = SmsClient(Credential("key-id", "key-secret"), "ap-guangzhou")
    now = int(received.headers["x-tc-timestamp"])
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    request = RequestInternal("", "POST", "/", data=received.body)
    request.header = {
        "Content-Type": received.headers["content-type"],
        "Host": received.headers["host"],
        "X-TC-Timestamp": str(now),
    }
    signature = client._get_tc3_signature({}, request, date, "sms", "key-secret")
    if received.headers["authorization"].rpartition("Signature=")[2] != signature:
        return 200, tencent_error("AuthFailure.SignatureFailure")
    return 200, tencent_body("Ok")


def test_the_request_is_what_the_vendor_documents() -> None:
    """Values by position and the reference, with a signature that the vendor's code accepts."""
    with serving(_vendor) as server:
        attempt = tencent(server.url).send(SMS)
    assert attempt == Attempt(
        "tencent", Outcome.SENT, message_id="5000:1045710669157053657849499619"
    )
    (received,) = server.received
    assert json.loads(received.body) == {
        "PhoneNumberSet": [SMS.to],
        "SmsSdkAppId": "1400000001",
        "SignName": "示例签名",
        "TemplateId": "7",
        "TemplateParamSet": ["11010148", "012345", "5"],
        "SessionContext": SMS.reference,
    }
    assert (received.method, received.path) == ("POST", "/")
    assert received.headers["x-tc-timestamp"] == str(NOW)


def test_a_wrong_secret_fails_over() -> None:
    """The vendor refuses the signature, and the reason has its code."""
    with serving(_vendor) as server:
        attempt = tencent(server.url, key_secret="another").send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason.startswith("AuthFailure.SignatureFailure ed93f3cb-")


def test_the_sdk_sends_the_same_request() -> None:
    """The same fields for the same time."""
    with serving(lambda _: (200, tencent_body("Ok"))) as server:
        tencent(server.url).send(SMS)
        ours = server.received[0]
        host = urlsplit(server.url).netloc
        profile = ClientProfile(httpProfile=HttpProfile(endpoint=host, protocol="http"))
        client = SmsClient(Credential("key-id", "key-secret"), "ap-guangzhou", profile)
        request = models.SendSmsRequest()
        request.from_json_string(ours.body.decode())
        with mock.patch.object(abstract_client.time, "time", return_value=NOW):
            client.SendSms(request)
    theirs = server.received[1]
    assert json.loads(theirs.body) == json.loads(ours.body)
    for name in ("host", "content-type", "x-tc-action", "x-tc-version", "x-tc-region"):
        assert theirs.headers[name] == ours.headers[name]
    # The SDK writes its JSON in ASCII; over the same bytes both signatures are the same.
    assert theirs.headers["authorization"] == signing.authorization(
        "key-id", "key-secret", host, theirs.body, NOW
    )


@given(
    st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=5),
    st.integers(0, 4_000_000_000),
    st.text("abc1+/=", min_size=1),
)
def test_the_signer_agrees_with_the_sdk(fields: dict[str, Any], now: int, secret: str) -> None:
    """Any texts at any time: the same Authorization header as the official SDK's."""
    request = _sdk_request("sms.tencentcloudapi.com", fields, now, secret)
    ours = signing.authorization("key-id", secret, request.host, request.data.encode(), now)
    assert ours == request.header["Authorization"]


@given(st.dictionaries(st.text("abcdefgh", min_size=1), TEXTS, min_size=1, max_size=4))
def test_values_go_in_the_order_of_the_template(params: dict[str, str]) -> None:
    """Any names and values: in the order of the message's parameters."""
    sent: list[bytes] = []

    class Client(HttpClient):
        def request(self, method: str, url: str, headers: Any, body: Any = None, **_: Any) -> Any:
            sent.append(body)
            raise RequestNotSent("stopped")

    message = Sms(SMS.to, "text", "code", params, "r")
    attempt = tencent("http://127.0.0.1:9", Client()).send(message)
    assert attempt.reason == "not connected: stopped"
    assert json.loads(sent[0])["TemplateParamSet"] == list(params.values())


def _expected(code: str) -> Outcome:
    if code in {
        "FailedOperation.PhoneNumberInBlacklist",
        "FailedOperation.PhoneNumberParseFail",
        "InvalidParameterValue.IncorrectPhoneNumber",
    }:
        return Outcome.REFUSED
    if code in {
        "InternalError.ParseBackendResponseFail",
        "InternalError.SendAndRecvFail",
        "InternalError.Timeout",
    }:
        return Outcome.UNKNOWN
    return Outcome.TRY_ANOTHER


@pytest.mark.parametrize("body", [tencent_body, tencent_error])
def test_every_documented_code_has_its_outcome(body: Any) -> None:
    """For one number and for the whole request; a time-out within the vendor is not retried."""
    codes = iter([*TENCENT_OF_SMS, *TENCENT_COMMON])
    with serving(lambda _: (200, body(next(codes)))) as server:
        gateway = tencent(server.url)
        found = {code: gateway.send(SMS) for code in [*TENCENT_OF_SMS, *TENCENT_COMMON]}
    for code, attempt in found.items():
        assert (code, attempt.outcome) == (code, _expected(code))
        assert attempt.reason.startswith(f"{code} ")
        assert attempt.message_id is None
        assert not quotes_the_message(repr(attempt))


def test_the_compared_codes_are_the_vendor_s() -> None:
    """A misspelt code would never match."""
    assert set(TENCENT_OF_SMS) >= signing.FINAL | signing.PERHAPS_SENT
