"""Tencent Cloud SMS (SendSms 2021-01-11), signed by TC3-HMAC-SHA256.

Source: Tencent Cloud's "Signature v3" (cloud.tencent.com/document/api/382/52072) and the error codes
of SendSms (cloud.tencent.com/document/api/382/59177). The vendor's SDK costs hundreds of milliseconds
of import for this one request; a test holds the signer against it.

A template that Tencent Cloud files as a verification code takes digits alone, six at most. A text
that also names the login must be filed as an ordinary message, in an account whose limit on the
length of one variable allows a login.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..http_client import HttpClient
from .gateway import Outcome, Sms
from .vendor import TemplateGateway, VendorReply, VendorRequest

ALGORITHM = "TC3-HMAC-SHA256"
SERVICE = "sms"
VERSION = "2021-01-11"
CONTENT_TYPE = "application/json"

# The number is wrong, or its owner has opted out: any vendor would refuse it.
#
# Everything else is this vendor's affair (account, signature, template, money, traffic) and the
# next one may send. That holds for LimitExceeded.PhoneNumber… too: it counts what other programs
# of the account sent to the number, and our own limits on codes to one phone have let this message
# pass.
FINAL = frozenset(
    {
        "FailedOperation.PhoneNumberInBlacklist",
        "FailedOperation.PhoneNumberParseFail",
        "InvalidParameterValue.IncorrectPhoneNumber",
    }
)

# Tencent Cloud had handed the message on and did not understand, or did not get, the answer.
PERHAPS_SENT = frozenset(
    {
        "InternalError.ParseBackendResponseFail",
        "InternalError.SendAndRecvFail",
        "InternalError.Timeout",
    }
)


def authorization(key_id: str, key_secret: str, host: str, body: bytes, now: int) -> str:
    """The Authorization header of a POST of `body` to `/` at `now`, epoch seconds."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            f"content-type:{CONTENT_TYPE}",
            f"host:{host}",
            "",
            "content-type;host",
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{date}/{SERVICE}/tc3_request"
    to_sign = "\n".join(
        [ALGORITHM, str(now), scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"TC3{key_secret}".encode()
    for part in (date, SERVICE, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return (
        f"{ALGORITHM} Credential={key_id}/{scope}, "
        f"SignedHeaders=content-type;host, Signature={signature}"
    )


class Tencent(TemplateGateway):
    """Sends by a filed template, whose values go by position; receipts name the serial number."""

    name = "tencent"
    success = "Ok"

    def __init__(
        self,
        key_id: str,
        key_secret: str,
        app_id: str,
        region: str,
        url: str,
        sign: str,
        templates: Mapping[str, str],
        client: HttpClient,
        clock: Callable[[], int],
    ) -> None:
        """`templates` maps our template names to the vendor's numbers."""
        super().__init__(client, templates)
        self._key_id = key_id
        self._key_secret = key_secret
        self._app_id = app_id
        self._region = region
        self._url = url
        self._host = urlsplit(url).netloc
        self._sign = sign
        self._clock = clock

    def _request(self, sms: Sms, template: str) -> VendorRequest:
        message = {
            "PhoneNumberSet": [sms.to],
            "SmsSdkAppId": self._app_id,
            "SignName": self._sign,
            "TemplateId": template,
            "TemplateParamSet": list(sms.params.values()),
            "SessionContext": sms.reference,
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        now = self._clock()
        headers = {
            "Host": self._host,
            "Content-Type": CONTENT_TYPE,
            "X-TC-Action": "SendSms",
            "X-TC-Version": VERSION,
            "X-TC-Region": self._region,
            "X-TC-Timestamp": str(now),
            "Authorization": authorization(self._key_id, self._key_secret, self._host, body, now),
        }
        return VendorRequest(self._url, headers, body)

    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        response = _part(body, "Response")
        # An error of the whole request stands alone; otherwise each number has a status.
        status = _part(response, "Error") or _only(response.get("SendStatusSet"))
        return VendorReply(status.get("Code"), response.get("RequestId"), status.get("SerialNo"))

    def _outcome(self, code: str) -> Outcome:
        if code in FINAL:
            return Outcome.REFUSED
        return Outcome.UNKNOWN if code in PERHAPS_SENT else Outcome.TRY_ANOTHER


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _only(statuses: Any) -> Mapping[str, Any]:
    if isinstance(statuses, list) and len(statuses) == 1 and isinstance(statuses[0], dict):
        return statuses[0]
    return {}
