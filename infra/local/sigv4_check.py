"""Verify AWS Signature Version 4 of requests, as API Gateway does for IAM routes.

Source: AWS General Reference, "Signature Version 4". botocore computes the signature from the
received request, and the two are compared.
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
"""Seconds by which a signature's time may differ from the clock."""

SERVICE = "execute-api"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[\w-]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/"
    r"(?P<service>[a-z0-9-]+)/aws4_request, *"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), *Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
_TIME = "%Y%m%dT%H%M%SZ"


class _ReceivedRequestAuth(SigV4Auth):
    """Signs the headers that the request lists, instead of botocore's own choice."""

    def __init__(self, credentials: Credentials, region: str, names: list[str]) -> None:
        super().__init__(credentials, SERVICE, region)
        self._names = names

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name in self._names:
            chosen[name] = request.headers[name]
        return chosen


class SigV4Check:
    """Verifies signatures made with one access key."""

    def __init__(self, key: str, secret: str, clock: Callable[[], int]) -> None:
        self._credentials = Credentials(key, secret)
        self._clock = clock

    def is_valid(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether the signature matches the request and is at most 15 minutes off the clock.

        `target` is the path with its query; `headers` have lower-case names.
        """
        fields = _AUTHORIZATION.fullmatch(headers.get("authorization", "").strip())
        if fields is None or fields["service"] != SERVICE:
            return False
        names = fields["headers"].split(";")
        stamp = headers.get("x-amz-date", "")
        # Host and time must be among the signed headers.
        complete = {"host", "x-amz-date"} <= set(names) <= set(headers)
        if not complete or not self._is_recent(stamp) or not stamp.startswith(fields["day"]):
            return False
        declared = headers.get("x-amz-content-sha256")
        if declared is not None and declared != hashlib.sha256(body).hexdigest():
            return False
        expected = self._signature(method, target, headers, body, fields["region"], names)
        known = hmac.compare_digest(fields["key"].encode(), self._credentials.access_key.encode())
        return hmac.compare_digest(expected.encode(), fields["signature"].encode()) and known

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
    ) -> str:
        request: Any = AWSRequest(
            method=method,
            url=f"http://{headers['host']}{target}",
            headers={name: headers[name] for name in names},
            data=body,
        )
        request.context["timestamp"] = headers["x-amz-date"]
        auth: Any = _ReceivedRequestAuth(self._credentials, region, names)
        return str(
            auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        )
