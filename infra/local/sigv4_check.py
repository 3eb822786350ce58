"""AWS Signature Version 4 on requests that come in, as API Gateway checks it for IAM routes.

The scheme: AWS General Reference, "Signature Version 4". botocore makes the signature anew from
what was received; the two are compared.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

SKEW = 900
"""Seconds that a signature's time may differ from ours."""

SERVICE = "execute-api"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[\w-]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/"
    r"(?P<service>[a-z0-9-]+)/aws4_request, *"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), *Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
_TIME = "%Y%m%dT%H%M%SZ"


class _Received(SigV4Auth):
    """Signs the headers that the sender names, where botocore would choose them itself."""

    def __init__(self, credentials: Credentials, region: str, names: list[str]) -> None:
        super().__init__(credentials, SERVICE, region)
        self._names = names

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name in self._names:
            chosen[name] = request.headers[name]
        return chosen


class SignatureCheck:
    """Knows one pair of credentials and tells whether a request is signed with it."""

    def __init__(self, key: str, secret: str, clock: Callable[[], int]) -> None:
        self._credentials = Credentials(key, secret)
        self._clock = clock

    def is_right(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature covers this very request, and is of the last or next 15 minutes.

        `target` is the path with its query; `headers` have lower-case names.
        """
        given = _AUTHORIZATION.fullmatch(headers.get("authorization", "").strip())
        if given is None or given["service"] != SERVICE:
            return False
        names = given["headers"].split(";")
        stamp = headers.get("x-amz-date", "")
        # What tells the host and the time must be among what is signed.
        complete = {"host", "x-amz-date"} <= set(names) <= set(headers)
        if not complete or not self._is_recent(stamp) or not stamp.startswith(given["day"]):
            return False
        declared = headers.get("x-amz-content-sha256")
        if declared is not None and declared != hashlib.sha256(body).hexdigest():
            return False
        made = self._signature(method, target, headers, body, given["region"], names, stamp)
        known = hmac.compare_digest(given["key"].encode(), self._credentials.access_key.encode())
        return hmac.compare_digest(made.encode(), given["signature"].encode()) and known

    def _is_recent(self, stamp: str) -> bool:
        try:
            signed = datetime.strptime(stamp, _TIME).replace(tzinfo=UTC)
        except ValueError:
            return False
        return abs(self._clock() - int(signed.timestamp())) <= SKEW

    def _signature(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        region: str,
        names: list[str],
        stamp: str,
    ) -> str:
        request: Any = AWSRequest(
            method=method,
            url=f"http://{headers['host']}{target}",
            headers={name: headers[name] for name in names},
            data=body,
        )
        request.context["timestamp"] = stamp
        auth: Any = _Received(self._credentials, region, names)
        return str(
            auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        )
