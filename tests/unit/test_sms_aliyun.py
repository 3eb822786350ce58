"""Aliyun: the request against the official SDK, and every documented answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import SendSmsRequest
from alibabacloud_tea_openapi.utils import Utils as Sdk
from alibabacloud_tea_openapi.utils import get_canonical_query_string
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.request import DaraRequest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.sms import aliyun as signing
from chalicelib.sms.gateway import Attempt, Outcome
from tests.support.http_server import Received, Reply, serving
from tests.support.sms_cases import NOW, PHONE, SMS, aliyun, aliyun_body, quotes_the_message
from tests.support.sms_codes import ALIYUN_FINAL, ALIYUN_TRY_ANOTHER

FIELDS = ["PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["【中注协】", "“引号”", "a b+c%20", "~*'()!", '{"code":"1"}', "=&?/#", "\n", "𠮷"]
)


def _sdk_authorization(query: dict[str, str], headers: dict[str, str], secret: str) -> str:
    request = DaraRequest()
    request.method, request.pathname = "POST", "/"
    request.query, request.headers = query, headers
    payload = headers["x-acs-content-sha256"]
    return str(Sdk.get_authorization(request, signing.ALGORITHM, payload, "key-id", secret))


def _signed_headers(received: Received) -> dict[str, str]:
    listed = received.headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    return {name: received.headers[name] for name in listed.split(";")}


def _query(received: Received) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(received.path).query, keep_blank_values=True))


def _vendor(received: Received) -> Reply:
    """Check the signature by the vendor's own code, as the vendor does."""
    authentic = _sdk_authorization(_query(received), _signed_headers(received), "key-secret")
    if received.headers["authorization"] != authentic:
        return 400, aliyun_body("SignatureDoesNotMatch")
    return 200, aliyun_body("OK")


def test_the_request_is_what_the_vendor_documents() -> None:
    """Template, sign and reference, with a signature that the vendor's own code accepts."""
    with serving(_vendor) as server:
        attempt = aliyun(server.url).send(SMS)
    assert attempt == Attempt("aliyun", Outcome.SENT, message_id="900619746936498440^0")
    (received,) = server.received
    query = _query(received)
    assert json.loads(query.pop("TemplateParam")) == dict(SMS.params)
    assert query == {
        "PhoneNumbers": PHONE,
        "SignName": "示例签名",
        "TemplateCode": "SMS_1",
        "OutId": SMS.reference,
    }
    assert (received.method, received.body) == ("POST", b"")
    assert received.headers["x-acs-date"] == "2027-01-15T08:00:00Z"
    assert received.headers["x-acs-signature-nonce"] == "nonce"
    assert {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-version"} <= set(
        _signed_headers(received)
    )


def test_a_wrong_secret_fails_over() -> None:
    """The vendor refuses the signature, and the reason has its code."""
    with serving(_vendor) as server:
        attempt = aliyun(server.url, key_secret="another").send(SMS)
    assert attempt.outcome is Outcome.TRY_ANOTHER
    assert attempt.reason == "SignatureDoesNotMatch 819BE656-D2E0-4858-8B21-B2E477085AAF"


def test_the_sdk_sends_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same fields for the same time and nonce."""
    monkeypatch.setattr(Sdk, "get_timestamp", staticmethod(lambda: "2027-01-15T08:00:00Z"))
    monkeypatch.setattr(Sdk, "get_nonce", staticmethod(lambda: "nonce"))
    with serving(lambda _: (200, aliyun_body("OK"))) as server:
        aliyun(server.url).send(SMS)
        config = Config(
            access_key_id="key-id",
            access_key_secret="key-secret",
            endpoint=urlsplit(server.url).netloc,
            protocol="http",
        )
        ours = server.received[0]
        Client(config).send_sms(
            SendSmsRequest(
                phone_numbers=PHONE,
                sign_name="示例签名",
                template_code="SMS_1",
                template_param=_query(ours)["TemplateParam"],
                out_id=SMS.reference,
            )
        )
    theirs = server.received[1]
    assert _query(theirs) == _query(ours)
    for name in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-content-sha256"):
        assert theirs.headers[name] == ours.headers[name]
    # The SDK signs some headers more; over the same ones both signatures are the same.
    signed = _signed_headers(theirs)
    assert theirs.headers["authorization"] == signing.authorization(
        "key-id", "key-secret", "POST", _query(theirs), signed
    )


@given(st.dictionaries(st.sampled_from(FIELDS), TEXTS), TEXTS.filter(str.strip), st.text("abc1+/="))
def test_the_signer_agrees_with_the_sdk(query: dict[str, str], sign: str, secret: str) -> None:
    """Any texts, quotes and signs: the same query and Authorization as the official SDK's."""
    headers = {
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": "e3b0c442",
        "x-acs-date": "2027-01-15T08:00:00Z",
        "x-acs-signature-nonce": sign.encode().hex(),
    }
    query = {**query, "SignName": sign}
    ours = signing.authorization("key-id", secret, "POST", query, headers)
    assert ours == _sdk_authorization(query, headers, secret)
    assert signing.canonical_query(query) == get_canonical_query_string(query)


@given(st.dictionaries(st.text("abcdefgh", min_size=1), TEXTS, max_size=4))
def test_values_of_any_text_arrive_unchanged(params: dict[str, str]) -> None:
    """The vendor decodes the values in their order."""
    query = {"TemplateParam": json.dumps(params, ensure_ascii=False)}
    read = dict(parse_qsl(signing.canonical_query(query)))
    assert list(json.loads(read["TemplateParam"]).items()) == list(params.items())


def test_every_documented_code_has_its_outcome() -> None:
    """Status 200 alone is no success, and only faults of the number end the send."""
    expected = dict.fromkeys(ALIYUN_TRY_ANOTHER, Outcome.TRY_ANOTHER) | dict.fromkeys(
        ALIYUN_FINAL, Outcome.REFUSED
    )
    codes = iter(expected)
    with serving(lambda _: (200, aliyun_body(next(codes)))) as server:
        gateway = aliyun(server.url)
        found = {code: gateway.send(SMS) for code in expected}
    assert {code: attempt.outcome for code, attempt in found.items()} == expected
    for code, attempt in found.items():
        assert attempt.reason == f"{code} 819BE656-D2E0-4858-8B21-B2E477085AAF"
        assert not quotes_the_message(repr(attempt))


def test_the_time_of_the_signature_is_the_clock_s() -> None:
    """The vendor refuses a request with another time."""
    assert NOW == 1_800_000_000
    headers: dict[str, Any] = {}
    with serving(lambda r: (headers.update(r.headers) or 200, aliyun_body("OK"))) as server:
        aliyun(server.url, clock=lambda: 0).send(SMS)
    assert headers["x-acs-date"] == "1970-01-01T00:00:00Z"
