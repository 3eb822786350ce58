"""AWS's Signature Version 4 of a POST to `/`, the one request that its JSON services are asked by.

Source: "Create a signed AWS API request" in the user guide of AWS IAM. botocore's signer is made for
every request there is and takes several times as long for this one; a test holds this against it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache

from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    credentials: ReadOnlyCredentials,
    region: str,
    service: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> dict[str, str]:
    """The headers, all of which are signed, `Host` among them, and those that sign them.

    No value may have spaces around it or two in a row; `now` is in epoch seconds.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    date = stamp[:8]
    given = {**headers, "X-Amz-Date": stamp}
    if credentials.token:
        given["X-Amz-Security-Token"] = credentials.token
    lines = sorted((name.lower(), value) for name, value in given.items())
    names = ";".join(name for name, _ in lines)
    canonical = "".join(
        [
            "POST\n/\n\n",
            *[f"{name}:{value}\n" for name, value in lines],
            f"\n{names}\n{hashlib.sha256(body).hexdigest()}",
        ]
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode()
    key = _key(credentials.secret_key, date, region, service)
    given["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={hmac.digest(key, to_sign, 'sha256').hex()}"
    )
    return given


# Good for a day, and for as long as the credentials are.
@lru_cache(maxsize=4)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
