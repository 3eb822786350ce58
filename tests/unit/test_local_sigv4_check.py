"""Signature Version 4, signed by botocore and checked by the local stack."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.sigv4_check import SKEW, SigV4Check

BODY = '{"login":"11010148","password":"秘密"}'.encode()
TARGET = "/credentials/verify?b=2&a=%E4%B8%AD&a=1"


def signed(
    target: str = TARGET,
    body: bytes = BODY,
    *,
    service: str = "execute-api",
    key: tuple[str, str] = ("testing", "secret"),
    extra: dict[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers of a signed POST, in lower case."""
    request: Any = AWSRequest(
        method="POST",
        url=f"http://127.0.0.1:8000{target}",
        data=body,
        headers={"Host": "127.0.0.1:8000", "Content-Type": "application/json", **(extra or {})},
    )
    SigV4Auth(Credentials(*key), service, "cn-north-1").add_auth(request)
    return {name.lower(): str(value) for name, value in request.headers.items()}


def check(headers: dict[str, str], later: int = 0) -> SigV4Check:
    """Return a check whose clock is some seconds after the signature's time."""
    stamp = headers.get("x-amz-date", "20260101T000000Z")
    at = datetime.datetime.strptime(stamp + "+0000", "%Y%m%dT%H%M%SZ%z")
    return SigV4Check("testing", "secret", lambda: int(at.timestamp()) + later)


def right(
    headers: dict[str, str], target: str = TARGET, body: bytes = BODY, *, later: int = 0
) -> bool:
    return check(headers, later).is_valid("POST", target, headers, body)


def test_a_right_signature_is_accepted() -> None:
    """With a query, with other headers and in another region."""
    assert right(signed())
    assert right(signed(extra={"X-Amz-Content-SHA256": hashlib.sha256(BODY).hexdigest()}))
    assert right(signed(target="/credentials/verify"), "/credentials/verify")
    assert right({**signed(), "x-forwarded-for": "1.2.3.4"})


def test_any_change_invalidates_the_signature() -> None:
    """Of body, path, query, method, a signed header, the secret, the key or the service."""
    headers = signed()
    assert not right(headers, body=BODY + b" ")
    assert not right(headers, target=TARGET.replace("verify", "verifi"))
    assert not right(headers, target=TARGET + "&c=3")
    assert not right({**headers, "host": "127.0.0.1:8001"})
    assert not right({**headers, "content-type": "text/plain"})
    assert not check(headers).is_valid("PUT", TARGET, headers, BODY)
    assert not right(signed(key=("testing", "other")))
    assert not right(signed(key=("others", "secret")))
    assert not right(signed(service="sns"))
    assert not right(signed(extra={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}))


def test_a_signature_is_valid_for_fifteen_minutes() -> None:
    """In both directions."""
    headers = signed()
    assert right(headers, later=SKEW)
    assert right(headers, later=-SKEW)
    assert not right(headers, later=SKEW + 1)
    assert not right(headers, later=-SKEW - 1)
    day = headers["x-amz-date"][:8]
    assert not right(
        {**headers, "authorization": headers["authorization"].replace(day, "20200101")}
    )


@pytest.mark.parametrize("header", ["host", "x-amz-date"])
def test_host_and_time_must_be_signed(header: str) -> None:
    """A signature without them covers too little."""
    headers = signed()
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    fewer = ";".join(name for name in names.split(";") if name != header)
    assert not right({**headers, "authorization": headers["authorization"].replace(names, fewer)})


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 " + "é" * 9],
)
def test_malformed_headers_are_refused(authorization: str) -> None:
    """Missing and malformed headers raise no exception."""
    assert not right({**signed(), "authorization": authorization})
    assert not right({})


def test_a_malformed_time_is_refused() -> None:
    """Also where it begins with the signature's day."""
    headers = signed()
    malformed = f"{headers['x-amz-date'][:8]}T250000Z"
    known = check(headers)
    assert not known.is_valid("POST", TARGET, {**headers, "x-amz-date": malformed}, BODY)
