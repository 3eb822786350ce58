"""Aliyun SMS (Dysmsapi 2017-05-25, SendSms), signed by ACS3-HMAC-SHA256.

Source: Aliyun's "Request syntax and signature method V3" (help.aliyun.com/document_detail/2593177)
and "API error codes" (help.aliyun.com/document_detail/101346). The vendor's SDK costs hundreds of
milliseconds of import for this one request; a test holds the signer against it.

A template that Aliyun files as a verification code has one variable of 4 to 6 characters alone. A
text that also names the login must be filed as a notification.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from ..http_client import HttpClient
from .gateway import Outcome, Sms
from .vendor import TemplateGateway, VendorReply, VendorRequest

ALGORITHM = "ACS3-HMAC-SHA256"
VERSION = "2017-05-25"

# The number is wrong, or its owner has opted out or complained: any vendor would refuse it.
#
# Everything else is this vendor's affair (account, signature, template, money, traffic) and the
# next one may send. That holds for isv.BUSINESS_LIMIT_CONTROL too: Aliyun counts what all its
# customers sent to the number, so it would punish the person for the traffic of others, and our
# own limits on codes to one phone have let this message pass.
FINAL = frozenset(
    {
        "isv.MOBILE_NUMBER_ILLEGAL",
        "isv.BLACK_KEY_CONTROL_LIMIT",
        "isv.CUSTOMER_REFUSED",
    }
)


def canonical_query(query: Mapping[str, str]) -> str:
    """The query as it is signed and sent: sorted, percent-encoded by RFC 3986."""
    return "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(query.items())
    )


def authorization(
    key_id: str, key_secret: str, method: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """The Authorization header of a request to `/`.

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
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}"


class Aliyun(TemplateGateway):
    """Sends by a filed template; the receipt returns our reference as its out_id."""

    name = "aliyun"
    success = "OK"

    def __init__(
        self,
        key_id: str,
        key_secret: str,
        url: str,
        sign: str,
        templates: Mapping[str, str],
        client: HttpClient,
        clock: Callable[[], int],
        nonce: Callable[[], str],
    ) -> None:
        """`templates` maps our template names to the vendor's codes (SMS_…)."""
        super().__init__(client, templates)
        self._key_id = key_id
        self._key_secret = key_secret
        self._url = url
        self._host = urlsplit(url).netloc
        self._sign = sign
        self._clock = clock
        self._nonce = nonce

    def _request(self, sms: Sms, template: str) -> VendorRequest:
        query = {
            "PhoneNumbers": sms.to.removeprefix("+86").removeprefix("+"),
            "SignName": self._sign,
            "TemplateCode": template,
            "TemplateParam": json.dumps(dict(sms.params), ensure_ascii=False),
            "OutId": sms.reference,
        }
        headers = {
            "host": self._host,
            "x-acs-action": "SendSms",
            "x-acs-version": VERSION,
            "x-acs-date": datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        }
        signed = authorization(self._key_id, self._key_secret, "POST", query, headers)
        url = f"{self._url}/?{canonical_query(query)}"
        return VendorRequest(url, {**headers, "Authorization": signed}, b"")

    def _reply(self, body: Mapping[str, Any]) -> VendorReply:
        return VendorReply(body.get("Code"), body.get("RequestId"), body.get("BizId"))

    def _outcome(self, code: str) -> Outcome:
        return Outcome.REFUSED if code in FINAL else Outcome.TRY_ANOTHER
