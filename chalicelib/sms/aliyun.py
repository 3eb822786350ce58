"""Aliyun SMS (Dysmsapi 2017-05-25, SendSms), signed by ACS3-HMAC-SHA256.

Source: Aliyun's "Request syntax and signature method V3" (help.aliyun.com/document_detail/2593177)
and "API error codes" (help.aliyun.com/document_detail/101346). The vendor's SDK needs hundreds of
milliseconds to import; a test compares the signatures with the SDK's.

A template registered at Aliyun as a verification code has a single variable of 4 to 6 characters. A
text that also contains the login must be registered as a notification.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

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

ALGORITHM = "ACS3-HMAC-SHA256"
VERSION = "2017-05-25"

# The number is invalid, or its owner has opted out: certainly a fault of the number.
#
# All other codes concern this vendor (account, signature, template, content, balance, throttling), and
# the next gateway may succeed. Two of them seem to concern the number: isv.BLACK_KEY_CONTROL_LIMIT is
# also the answer to a word in the variables that this vendor forbids, and its list of complaints is
# for promotions; isv.BUSINESS_LIMIT_CONTROL counts the messages of all its customers to the number.
# docs/operations.md has the table of all codes.
FINAL = frozenset({"isv.MOBILE_NUMBER_ILLEGAL", "isv.CUSTOMER_REFUSED"})


def canonical_query(query: Mapping[str, str]) -> str:
    """Return the query as it is signed and sent: sorted, percent-encoded by RFC 3986."""
    return "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(query.items())
    )


def authorization(
    key_id: str, key_secret: str, method: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """Return the Authorization header of a request to `/`.

    `headers` have lower-case names and include `host`, `x-acs-…` and the body's hash in
    `x-acs-content-sha256`; all of them are signed.
    """
    names = sorted(headers)
    canonical = "\n".join(
        [
            method,
            "/",
            canonical_query(query),
            *[f"{name}:{headers[name].strip()}" for name in names],
            "",
            ";".join(names),
            headers["x-acs-content-sha256"],
        ]
    )
    to_sign = f"{ALGORITHM}\n{sha256_hex(canonical.encode())}"
    signature = hmac_sha256(key_secret.encode(), to_sign).hex()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}"


class Aliyun(TemplateGateway):
    """Aliyun; its template ids are codes such as `SMS_1`. Receipts return our reference as out_id."""

    name = "aliyun"
    success = "OK"
    final = FINAL

    def __init__(
        self,
        account: VendorAccount,
        client: HttpClient,
        clock: Callable[[], int],
        nonce: Callable[[], str],
    ) -> None:
        """`clock` returns epoch seconds, `nonce` a new random text for each request."""
        super().__init__(account, client, clock)
        self._nonce = nonce

    def _request(self, sms: Sms, template: str) -> VendorRequest:
        account = self._account
        query = {
            "PhoneNumbers": sms.to.removeprefix("+86").removeprefix("+"),
            "SignName": account.sign,
            "TemplateCode": template,
            "TemplateParam": json.dumps(dict(sms.params), ensure_ascii=False),
            "OutId": sms.reference,
        }
        headers = {
            "host": account.host,
            "x-acs-action": "SendSms",
            "x-acs-version": VERSION,
            "x-acs-date": utc(self._clock()).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-content-sha256": sha256_hex(b""),
        }
        signed = authorization(account.key_id, account.key_secret, "POST", query, headers)
        url = f"{account.url}/?{canonical_query(query)}"
        return VendorRequest(url, {**headers, "Authorization": signed}, b"")

    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        return VendorReply(body.get("Code"), body.get("RequestId"), body.get("BizId"))
