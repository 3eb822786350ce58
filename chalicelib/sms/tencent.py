"""Tencent Cloud SMS (SendSms 2021-01-11), signed by TC3-HMAC-SHA256.

Source: Tencent Cloud's "Signature v3" and the error code page of SendSms. The vendor's SDK costs
hundreds of milliseconds of import for this one request; a test holds the signer against it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from .gateway import Attempt, Outcome, Sms
from .wire import NoAnswer, post

ALGORITHM = "TC3-HMAC-SHA256"
SERVICE = "sms"
VERSION = "2021-01-11"
CONTENT_TYPE = "application/json"

# The number itself is at fault, or the person behind it has refused: any vendor would say so.
# The vendor's own frequency limits (LimitExceeded.…) are not among them.
_FINAL = frozenset(
    {
        "FailedOperation.PhoneNumberInBlacklist",
        "InvalidParameterValue.IncorrectPhoneNumber",
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


class Tencent:
    """Sends by a filed template, whose values go by position; receipts name the serial number."""

    name = "tencent"

    def __init__(
        self,
        key_id: str,
        key_secret: str,
        app_id: str,
        region: str,
        url: str,
        sign: str,
        templates: Mapping[str, str],
        session: Callable[[], requests.Session],
        clock: Callable[[], int],
    ) -> None:
        """`templates` maps our template names to the vendor's numbers."""
        self._key_id = key_id
        self._key_secret = key_secret
        self._app_id = app_id
        self._region = region
        self._url = url
        self._sign = sign
        self._templates = templates
        self._session = session
        self._clock = clock

    def send(self, sms: Sms) -> Attempt:
        """Hand the message over."""
        template = self._templates.get(sms.template)
        if template is None:
            reason = f"no template for {sms.template}"
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=reason)
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
        host = urlsplit(self._url).netloc
        headers = {
            "Host": host,
            "Content-Type": CONTENT_TYPE,
            "X-TC-Action": "SendSms",
            "X-TC-Version": VERSION,
            "X-TC-Region": self._region,
            "X-TC-Timestamp": str(now),
            "Authorization": authorization(self._key_id, self._key_secret, host, body, now),
        }
        answer = post(self._session(), self._url, body, headers)
        if isinstance(answer, NoAnswer):
            return Attempt(self.name, answer.outcome, reason=answer.reason)
        return self._read(answer.status, answer.body)

    def _read(self, status: int, body: dict[str, Any] | None) -> Attempt:
        inner = (body or {}).get("Response")
        response = inner if isinstance(inner, dict) else {}
        error, sent = response.get("Error"), response.get("SendStatusSet")
        if isinstance(error, dict):
            code, serial = str(error.get("Code", "?")), None
        elif isinstance(sent, list) and len(sent) == 1 and isinstance(sent[0], dict):
            code, serial = str(sent[0].get("Code", "?")), str(sent[0].get("SerialNo", "")) or None
        else:
            # A 200 that cannot be read may have been a success.
            outcome = Outcome.UNKNOWN if status == 200 else Outcome.TRY_ANOTHER
            return Attempt(self.name, outcome, reason=f"HTTP {status}, unreadable")
        if code == "Ok":
            return Attempt(self.name, Outcome.SENT, message_id=serial)
        # The vendor's words may quote the number; its code and the request's name do not.
        reason = f"{code} {response.get('RequestId', '')}".strip()
        final = code in _FINAL
        return Attempt(self.name, Outcome.REFUSED if final else Outcome.TRY_ANOTHER, reason=reason)
