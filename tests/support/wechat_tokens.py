"""Doubles of the shared access token's environment: the platform, a clock, the tables."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import boto3
import pytest
from moto import mock_aws

from chalicelib.domain.errors import Unavailable
from chalicelib.security.tokens import Sealer
from chalicelib.store import access_token
from chalicelib.store.access_token import AccessTokens
from chalicelib.store.ephemeral_models import AccessTokenItem
from chalicelib.store.models import bind
from infra.deploy.tables import create_tables
from tests.support.dynamodb_local import create_tables_without_ttl

APP_ID = "wx0123456789abcdef"
KEY = f"wechat-token#{APP_ID}"
LIFETIME = 7_200
NOBODY = "http://127.0.0.1:9"
WAIT = 60
"""Seconds after which what another thread does is given up; no test takes that long."""


@dataclass
class Clock:
    """A clock that advances only by sleeping."""

    time: float = 1_800_000_000
    slept: int = 0

    def __call__(self) -> int:
        return int(self.time)

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += 1


@dataclass
class TokenSource:
    """The platform's side: a new token for each request, or a failure while `down`."""

    asked: int = 0
    lifetime: int = LIFETIME
    down: bool = False
    held: threading.Event | None = None
    """Answers wait for it."""
    reached: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def fetch(self) -> tuple[str, int]:
        with self._lock:
            self.asked += 1
            token = f"canary-token-{self.asked}"
        self.reached.set()
        if self.held is not None:
            assert self.held.wait(WAIT)
        if self.down:
            raise Unavailable("wechat")
        return token, self.lifetime


@pytest.fixture
def token_clock() -> Clock:
    return Clock()


@pytest.fixture
def token_source() -> TokenSource:
    return TokenSource()


@pytest.fixture
def token_table() -> Iterator[None]:
    """Make the tables on moto."""
    with mock_aws():
        create_tables(boto3.client("dynamodb"), "token")
        bind("token")
        yield


@pytest.fixture(params=["moto", "dynamodb local"])
def token_tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the tables on moto, one request at a time, and on Amazon's DynamoDB Local."""
    if request.param == "moto":
        request.getfixturevalue("serial_moto")
        request.getfixturevalue("token_table")
        yield
        return
    url = request.getfixturevalue("dynamodb_local")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    prefix = f"t{uuid.uuid4().hex[:8]}"
    create_tables_without_ttl(url, prefix)
    bind(prefix)
    yield


@pytest.fixture
def patient_waiters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads wait for a renewal for as long as a busy machine needs."""
    monkeypatch.setattr(access_token, "_WAITS", 4 * WAIT)


SEALER = Sealer([b"k" * 32])


def instance(
    clock: Clock,
    sealer: Sealer = SEALER,
    sleep: Callable[[float], None] | None = None,
) -> AccessTokens:
    """Return the token store of one process."""
    return AccessTokens(
        APP_ID,
        clock,
        seal=lambda text: sealer.seal("wechat-token", text),
        unseal=lambda sealed: sealer.unseal("wechat-token", sealed),
        sleep=sleep or clock.sleep,
    )


def stored() -> AccessTokenItem:
    return AccessTokenItem.get(KEY, consistent_read=True)


def lease(until: int) -> None:
    """Store the lease of a holder that never renews."""
    AccessTokenItem(KEY, leased_until=until, expires_at=until + 86_400).save()
