"""The signature of AWS's JSON services is the one that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.sigv4 import signed

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(
    key=WORDS,
    secret=WORDS,
    token=st.none() | WORDS,
    region=st.sampled_from(["cn-north-1", "us-east-1"]),
    service=st.sampled_from(["dynamodb", "secretsmanager"]),
    target=WORDS,
    body=st.binary(max_size=300),
    now=st.integers(0, 2**32),
)
def test_botocore_signs_the_same(
    key: str,
    secret: str,
    token: str | None,
    region: str,
    service: str,
    target: str,
    body: bytes,
    now: int,
) -> None:
    """For any credentials, body and time: the same headers, and so the same signature."""
    host = f"{service}.{region}.amazonaws.com.cn"
    headers = {"Host": host, "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    ours = signed(ReadOnlyCredentials(key, secret, token), region, service, headers, body, now)
    request = AWSRequest("POST", f"https://{host}/", headers, body)
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(now, UTC)):
        SigV4Auth(Credentials(key, secret, token), service, region).add_auth(request)
    assert ours == dict(request.headers)
