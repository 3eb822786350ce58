"""Tencent Cloud SMS (SendSms 2021-01-11), signed by TC3-HMAC-SHA256.

Source: Tencent Cloud's "Signature v3" (cloud.tencent.com/document/api/382/52072) and the error codes
of SendSms (cloud.tencent.com/document/api/382/59177). The vendor's SDK needs hundreds of milliseconds
to import; a test compares the signatures with the SDK's.

A template registered at Tencent Cloud as a verification code accepts only digits, six at most. A text
that also contains the login must be registered as an ordinary message, in an account whose limit on
the length of a variable allows a login.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..http_client import HttpClient
from .gateway import Sms
from .vendor import (
    TemplateGateway,
    VendorAccount,
    VendorReply,
    VendorRequest,
    hmac_sha256,
    sha256_hex,
    utc,
)

ALGORITHM = "TC3-HMAC-SHA256"
SERVICE = "sms"
VERSION = "2021-01-11"
CONTENT_TYPE = "application/json"

# The number is invalid, or its owner has opted out: certainly a fault of the number.
#
# All other codes concern this vendor (account, signature, template, content, balance, throttling), and
# the next gateway may succeed. So does LimitExceeded.PhoneNumber…: it counts messages of other
# programs of the account, and our own limits on codes to one phone have allowed this message.
# docs/operations.md has the table of all codes.
FINAL = frozenset(
    {
        "FailedOperation.PhoneNumberInBlacklist",
        "FailedOperation.PhoneNumberParseFail",
        "InvalidParameterValue.IncorrectPhoneNumber",
    }
)

# Tencent Cloud has forwarded the message but received no readable response.
PERHAPS_SENT = frozenset(
    {
        "InternalError.ParseBackendResponseFail",
        "InternalError.SendAndRecvFail",
        "InternalError.Timeout",
    }
)


def authorization(key_id: str, key_secret: str, host: str, body: bytes, now: int) -> str:
    """Return the Authorization header of a POST of `body` to `/` at `now`, epoch seconds."""
    date = utc(now).strftime("%Y-%m-%d")
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            f"content-type:{CONTENT_TYPE}",
            f"host:{host}",
            "",
            "content-type;host",
            sha256_hex(body),
        ]
    )
    scope = f"{date}/{SERVICE}/tc3_request"
    to_sign = "\n".join([ALGORITHM, str(now), scope, sha256_hex(canonical.encode())])
    key = f"TC3{key_secret}".encode()
    for part in (date, SERVICE, "tc3_request"):
        key = hmac_sha256(key, part)
    signature = hmac_sha256(key, to_sign).hex()
    return (
        f"{ALGORITHM} Credential={key_id}/{scope}, "
        f"SignedHeaders=content-type;host, Signature={signature}"
    )


class Tencent(TemplateGateway):
    """Tencent Cloud; its template ids are numbers, template values are positional.

    Receipts identify a message by its serial number.
    """

    name = "tencent"
    success = "Ok"
    final = FINAL
    unknown = PERHAPS_SENT

    def __init__(
        self,
        account: VendorAccount,
        client: HttpClient,
        clock: Callable[[], int],
        *,
        app_id: str,
        region: str,
    ) -> None:
        """`clock` returns epoch seconds; `app_id` is the SMS application's id."""
        super().__init__(account, client, clock)
        self._app_id = app_id
        self._region = region

    def _request(self, sms: Sms, template: str) -> VendorRequest:
        account = self._account
        message = {
            "PhoneNumberSet": [sms.to],
            "SmsSdkAppId": self._app_id,
            "SignName": account.sign,
            "TemplateId": template,
            "TemplateParamSet": list(sms.params.values()),
            "SessionContext": sms.reference,
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        now = self._clock()
        headers = {
            "Host": account.host,
            "Content-Type": CONTENT_TYPE,
            "X-TC-Action": "SendSms",
            "X-TC-Version": VERSION,
            "X-TC-Region": self._region,
            "X-TC-Timestamp": str(now),
            "Authorization": authorization(
                account.key_id, account.key_secret, account.host, body, now
            ),
        }
        return VendorRequest(account.url, headers, body)

    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        response = _part(body, "Response")
        # Either an error of the whole request, or a status for each number.
        status = _part(response, "Error") or _only(response.get("SendStatusSet"))
        return VendorReply(status.get("Code"), response.get("RequestId"), status.get("SerialNo"))


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _only(statuses: Any) -> Mapping[str, Any]:
    if isinstance(statuses, list) and len(statuses) == 1 and isinstance(statuses[0], dict):
        return statuses[0]
    return {}
