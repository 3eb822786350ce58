"""One message, and the SMS gateways that send it to a loopback server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chalicelib.http_client import HttpClient
from chalicelib.sms.aliyun import Aliyun
from chalicelib.sms.gateway import Sms
from chalicelib.sms.http import Http
from chalicelib.sms.tencent import Tencent
from chalicelib.sms.vendor import VendorAccount

NOW = 1_800_000_000
PHONE = "13800001234"
SMS = Sms(
    to=f"+86{PHONE}",
    text="您正在找回账号11010148的登录密码，验证码012345，5分钟内有效。",
    template="code",
    params={"login": "11010148", "code": "012345", "minutes": "5"},
    reference="11010148/1800000000000-00ff00ff00ff00ff",
)


def http(url: str, client: HttpClient | None = None) -> Http:
    """Return the http gateway at `url`."""
    return Http(url, "secret", client or HttpClient())


def aliyun(
    url: str,
    client: HttpClient | None = None,
    *,
    key_secret: str = "key-secret",
    clock: Callable[[], int] = lambda: NOW,
) -> Aliyun:
    """Return an Aliyun gateway at `url` with a template for codes alone."""
    account = VendorAccount("key-id", key_secret, url, "示例签名", {"code": "SMS_1"})
    return Aliyun(account, client or HttpClient(), clock, lambda: "nonce")


def tencent(
    url: str, client: HttpClient | None = None, *, key_secret: str = "key-secret"
) -> Tencent:
    """Return a Tencent Cloud gateway at `url` with a template for codes alone."""
    account = VendorAccount("key-id", key_secret, url, "示例签名", {"code": "7"})
    return Tencent(
        account,
        client or HttpClient(),
        lambda: NOW,
        app_id="1400000001",
        region="ap-guangzhou",
    )


def aliyun_body(code: str) -> bytes:
    """Return Aliyun's documented response; its text quotes the phone, as a vendor's may."""
    answer = {
        "Code": code,
        "Message": f"number {SMS.to}: {SMS.text}",
        "RequestId": "819BE656-D2E0-4858-8B21-B2E477085AAF",
    }
    return json.dumps(answer | ({"BizId": "900619746936498440^0"} if code == "OK" else {})).encode()


def tencent_body(code: str) -> bytes:
    """Return Tencent Cloud's documented response for one number."""
    status = {
        "SerialNo": "5000:1045710669157053657849499619" if code == "Ok" else "",
        "PhoneNumber": SMS.to,
        "Fee": 1,
        "SessionContext": SMS.reference,
        "Code": code,
        "Message": f"number {SMS.to}: {SMS.text}",
        "IsoCode": "CN",
    }
    response = {"SendStatusSet": [status], "RequestId": "a0aabda6-cf91-4f3e-a81f-9198114a2279"}
    return json.dumps({"Response": response}).encode()


def tencent_error(code: str) -> bytes:
    """Return Tencent Cloud's documented response where the whole request is refused."""
    error = {"Code": code, "Message": f"number {SMS.to}"}
    response = {"Error": error, "RequestId": "ed93f3cb-f35e-473f-b9f3-0d451b8b79c6"}
    return json.dumps({"Response": response}).encode()


MAKERS: dict[str, Callable[..., Any]] = {"http": http, "aliyun": aliyun, "tencent": tencent}
ACCEPTED = {"http": b"{}", "aliyun": aliyun_body("OK"), "tencent": tencent_body("Ok")}


def quotes_the_message(text: str) -> bool:
    """Return whether a text contains the phone or the code."""
    return PHONE in text or SMS.params["code"] in text
