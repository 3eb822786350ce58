"""The access token that all instances share: one of them renews it, whatever becomes of that one."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
import requests
from botocore.endpoint import Endpoint
from moto import mock_aws

from chalicelib.domain.errors import Unavailable
from chalicelib.keys.tokens import Sealer
from chalicelib.store.models import PlatformTokenItem, bind
from chalicelib.store.platform_token import LEASE, MARGIN, PlatformTokens
from chalicelib.wechat.platform import PATIENCE, Platform
from infra.tables import create_tables
from tests.loopback import Received, Reply, serving
from tests.serial_moto import serial_moto  # noqa: F401

APP_ID = "wx0123456789abcdef"
KEY = f"wechat-token#{APP_ID}"
LIFETIME = 7_200
NOBODY = "http://127.0.0.1:9"


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    time: float = 1_800_000_000
    slept: int = 0

    def __call__(self) -> int:
        return int(self.time)

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += 1


@dataclass
class WeChat:
    """The platform's side of it: a new token for each question, or `down`."""

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
            assert self.held.wait(5)
        if self.down:
            raise Unavailable("wechat")
        return token, self.lifetime


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wechat() -> WeChat:
    return WeChat()


@pytest.fixture
def table() -> Iterator[None]:
    """The tables on moto."""
    with mock_aws():
        create_tables(boto3.client("dynamodb"), "token")
        bind("token")
        yield


@pytest.fixture(params=["moto", "dynamodb local"])
def any_table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tables on moto, one request at a time, and on Amazon's own DynamoDB Local."""
    if request.param == "moto":
        request.getfixturevalue("serial_moto")
        request.getfixturevalue("table")
        yield
        return
    url = request.getfixturevalue("dynamodb_local")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    prefix = f"t{uuid.uuid4().hex[:8]}"
    create_tables(boto3.client("dynamodb", endpoint_url=url), prefix)
    bind(prefix)
    yield


SEALER = Sealer([b"k" * 32])


def instance(
    clock: Clock,
    sealer: Sealer = SEALER,
    sleep: Callable[[float], None] | None = None,
) -> PlatformTokens:
    """One process's share in the token."""
    return PlatformTokens(
        APP_ID,
        clock,
        seal=lambda text: sealer.seal("wechat-token", text),
        unseal=lambda sealed: sealer.unseal("wechat-token", sealed),
        sleep=sleep or clock.sleep,
    )


def stored() -> PlatformTokenItem:
    return PlatformTokenItem.get(KEY, consistent_read=True)


def lease(until: int) -> None:
    """Somebody has begun to renew the token, and will not be heard of again."""
    PlatformTokenItem(KEY, leased_until=until, expires_at=until + 86_400).save()


# One of many.


def test_twenty_threads_at_an_empty_cache_make_one_call(any_table: None, clock: Clock) -> None:
    """Of one process: one asks WeChat, all have its token, and each message goes out."""
    asked: list[str] = []

    def reply(request: Received) -> Reply:
        path = request.path.partition("?")[0]
        asked.append(path)
        if path == "/cgi-bin/stable_token":
            return 200, b'{"access_token":"canary-token","expires_in":7200}'
        assert "access_token=canary-token" in request.path
        return 200, b'{"subscribe":1}'

    with serving(reply) as server, requests.Session() as session:
        platform = Platform(
            APP_ID, "s", server.url, "", instance(clock), lambda: session, clock, clock.sleep
        )
        start = threading.Barrier(20)

        def call(number: int) -> bool:
            start.wait(5)
            return platform.is_following(f"o{number}")

        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(call, range(20)))
    assert asked.count("/cgi-bin/stable_token") == 1
    assert asked.count("/cgi-bin/user/info") == 20


def test_eight_instances_at_an_empty_cache_make_one_call(
    any_table: None, clock: Clock, wechat: WeChat
) -> None:
    """Of eight processes: one has the lease, the others find its token."""
    start = threading.Barrier(8)

    def call(_: int) -> str:
        tokens = instance(clock, sleep=lambda _: time.sleep(0.05))
        start.wait(5)
        return tokens.get(wechat.fetch, None)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {"canary-token-1"}
    assert wechat.asked == 1
    assert stored().leased_until is None


def test_a_lease_is_not_taken_for_what_another_has_just_renewed(
    any_table: None, clock: Clock, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one's look at the table and its write, another may have come and gone."""
    first, second = instance(clock), instance(clock)
    original = PlatformTokens._lease

    def overtaken(self: PlatformTokens, seen: PlatformTokenItem | None, now: int) -> int | None:
        monkeypatch.setattr(PlatformTokens, "_lease", original)
        assert second.get(wechat.fetch, None) == "canary-token-1"
        return original(self, seen, now)

    monkeypatch.setattr(PlatformTokens, "_lease", overtaken)
    assert first.get(wechat.fetch, None) == "canary-token-1"
    assert wechat.asked == 1


# A token's life.


def test_a_token_is_asked_for_once_in_its_life(table: None, clock: Clock, wechat: WeChat) -> None:
    """Until four minutes before its end it is kept; from then on WeChat gives out a new one."""
    tokens = instance(clock)
    for passed in (0, 1, LIFETIME - MARGIN - 1):
        clock.time = 1_800_000_000 + passed
        assert tokens.get(wechat.fetch, None) == "canary-token-1"
        assert instance(clock).get(wechat.fetch, None) == "canary-token-1"
    clock.time += 1
    assert tokens.get(wechat.fetch, None) == "canary-token-2"
    assert instance(clock).get(wechat.fetch, None) == "canary-token-2"
    assert wechat.asked == 2
    # In its last 300 seconds WeChat gives out the next token, and not before.
    assert MARGIN < 300


@pytest.mark.parametrize("lifetime", [1, 60, 300, MARGIN, MARGIN + 1])
def test_a_short_life_is_used_as_well(
    table: None, clock: Clock, wechat: WeChat, lifetime: int
) -> None:
    """A token that is near its end when it comes is not asked for again with each message."""
    wechat.lifetime = lifetime
    tokens = instance(clock)
    for passed in range(lifetime):
        clock.time = 1_800_000_000 + passed
        tokens.get(wechat.fetch, None)
    assert 1 <= wechat.asked <= 12
    clock.time = 1_800_000_000 + 10 * lifetime
    asked = wechat.asked
    tokens.get(wechat.fetch, None)
    assert wechat.asked == asked + 1


def test_the_table_is_read_once_and_then_left_alone(
    table: None, clock: Clock, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh process costs one read; each message after that costs none."""
    instance(clock).get(wechat.fetch, None)
    sent: list[str] = []
    original = Endpoint.make_request

    def counting(self: Endpoint, operation: Any, request: Any) -> Any:
        sent.append(operation.name)
        return original(self, operation, request)

    monkeypatch.setattr(Endpoint, "make_request", counting)
    tokens = instance(clock)
    for _ in range(3):
        tokens.get(wechat.fetch, None)
    assert sent == ["GetItem"]


def test_a_refused_token_is_replaced_for_all_by_one(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """Who comes second with the same refused token takes the new one from the table."""
    first, second = instance(clock), instance(clock)
    for tokens in (first, second):
        assert tokens.get(wechat.fetch, None) == "canary-token-1"
    assert first.get(wechat.fetch, "canary-token-1") == "canary-token-2"
    assert second.get(wechat.fetch, "canary-token-1") == "canary-token-2"
    assert second.get(wechat.fetch, "canary-token-1") == "canary-token-2"
    assert wechat.asked == 2


def test_a_token_refused_to_many_at_once_is_replaced_once(
    any_table: None, clock: Clock, wechat: WeChat
) -> None:
    """Twenty threads hear that the token has ended, and one asks for another."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    start = threading.Barrier(20)

    def call(_: int) -> str:
        start.wait(5)
        return tokens.get(wechat.fetch, "canary-token-1")

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(call, range(20))) == {"canary-token-2"}
    assert wechat.asked == 2


# While it is renewed.


@pytest.mark.parametrize("same_process", [True, False], ids=["threads", "instances"])
def test_the_old_token_serves_while_it_is_renewed(
    serial_moto: None,  # noqa: F811
    table: None,
    clock: Clock,
    wechat: WeChat,
    same_process: bool,
) -> None:
    """One renews; nobody else waits for it, and nobody else asks."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    clock.time += LIFETIME - MARGIN
    wechat.held, wechat.reached = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(tokens.get, wechat.fetch, None)
        try:
            assert wechat.reached.wait(5)
            other = tokens if same_process else instance(clock)
            assert other.get(wechat.fetch, None) == "canary-token-1"
            assert clock.slept == 0
        finally:
            wechat.held.set()
        assert renewing.result(5) == "canary-token-2"
    assert other.get(wechat.fetch, None) == "canary-token-2"
    assert wechat.asked == 2


def test_a_refused_token_does_not_serve_while_it_is_renewed(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """Others wait for the new one: the old one is of no use to anybody."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    PlatformTokenItem(KEY).update([PlatformTokenItem.leased_until.set(clock() + 3)])
    assert tokens.get(wechat.fetch, "canary-token-1") == "canary-token-2"
    assert clock.time >= 1_800_000_003


def test_the_old_token_serves_while_wechat_gives_no_new_one(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """And WeChat is asked once in each lease's time, not with each message."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    clock.time += LIFETIME - MARGIN
    wechat.down = True
    for _ in range(3):
        assert tokens.get(wechat.fetch, None) == "canary-token-1"
        assert instance(clock).get(wechat.fetch, None) == "canary-token-1"
    assert wechat.asked == 2
    clock.time += LEASE
    assert tokens.get(wechat.fetch, None) == "canary-token-1"
    assert wechat.asked == 3
    clock.time += MARGIN
    with pytest.raises(Unavailable):
        tokens.get(wechat.fetch, None)


def test_without_any_token_a_failure_lets_the_next_one_try(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """A failed question leaves no lease behind."""
    wechat.down = True
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            instance(clock).get(wechat.fetch, None)
        assert caught.value.dependency == "wechat"
    wechat.down = False
    assert instance(clock).get(wechat.fetch, None) == "canary-token-3"
    assert clock.slept == 0


# Whoever fails.


def test_a_dead_holder_s_lease_ends_by_time(table: None, clock: Clock, wechat: WeChat) -> None:
    """Who waits takes over as soon as the lease is over."""
    lease(clock() + 3)
    assert instance(clock).get(wechat.fetch, None) == "canary-token-1"
    assert (wechat.asked, clock()) == (1, 1_800_000_003)


def test_nobody_waits_longer_than_a_person_would(table: None, clock: Clock, wechat: WeChat) -> None:
    """Four seconds, then unavailable; after the lease all is well again."""
    lease(clock() + LEASE)
    with pytest.raises(Unavailable) as caught:
        instance(clock).get(wechat.fetch, None)
    assert caught.value.dependency == "wechat"
    assert clock.time == pytest.approx(1_800_000_004)
    assert wechat.asked == 0
    clock.time = 1_800_000_000 + LEASE
    assert instance(clock).get(wechat.fetch, None) == "canary-token-1"


def test_a_lease_outlasts_the_call_that_it_is_for() -> None:
    """Else a slow holder would be taken for dead each time."""
    assert LEASE > PATIENCE


def test_a_slow_holder_does_not_undo_what_its_successor_did(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """Its lease over, it keeps its token to itself and leaves the table alone."""
    first, second = instance(clock), instance(clock)

    def slow() -> tuple[str, int]:
        late = wechat.fetch()
        clock.time += LEASE
        assert second.get(wechat.fetch, None) == "canary-token-2"
        return late

    assert first.get(slow, None) == "canary-token-1"
    assert instance(clock).get(wechat.fetch, None) == "canary-token-2"
    assert stored().leased_until is None


def test_a_slow_holder_does_not_end_its_successor_s_lease(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """A third one must not come in between."""

    def slow() -> tuple[str, int]:
        clock.time += LEASE
        lease(clock() + LEASE)
        return wechat.fetch()

    instance(clock).get(slow, None)
    assert stored().leased_until == clock() + LEASE


def test_a_table_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, wechat: WeChat
) -> None:
    """Nobody asks WeChat behind the others' back."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", NOBODY)
    bind("token")
    try:
        with pytest.raises(Unavailable) as caught:
            instance(clock).get(wechat.fetch, None)
    finally:
        bind("token")
    assert caught.value.dependency == "store"
    assert wechat.asked == 0


def test_a_process_s_own_copy_needs_no_table(
    table: None, monkeypatch: pytest.MonkeyPatch, clock: Clock, wechat: WeChat
) -> None:
    """While its token is good, a message goes out though the table does not answer."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    monkeypatch.setattr(PlatformTokens, "_settled", lambda *_: pytest.fail("the table was asked"))
    assert tokens.get(wechat.fetch, None) == "canary-token-1"


def test_a_table_that_fails_after_the_question_costs_no_message(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """The token is there; that it could not be shared is no reason to refuse."""
    client = boto3.client("dynamodb")

    def fetch() -> tuple[str, int]:
        client.delete_table(TableName="token-ephemera")
        return wechat.fetch()

    tokens = instance(clock)
    assert tokens.get(fetch, None) == "canary-token-1"
    assert tokens.get(fetch, None) == "canary-token-1"


# What lies in the table.


def test_the_table_shows_no_token(table: None, clock: Clock, wechat: WeChat) -> None:
    """A dump of it lets nobody speak for the account; and it vanishes by itself."""
    instance(clock).get(wechat.fetch, None)
    items = boto3.client("dynamodb").scan(TableName="token-ephemera")["Items"]
    assert [item["id"]["S"] for item in items] == [KEY]
    assert "canary-token" not in str(items)
    assert clock() + LIFETIME < int(items[0]["expires_at"]["N"]) <= clock() + 86_400


def test_a_token_sealed_with_a_lost_key_is_replaced(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """Keys rotate; an item that nobody can open any more is as good as none."""
    instance(clock).get(wechat.fetch, None)
    rotated = Sealer([b"n" * 32])
    assert instance(clock, rotated).get(wechat.fetch, None) == "canary-token-2"
    assert instance(clock, rotated).get(wechat.fetch, None) == "canary-token-2"
    assert wechat.asked == 2
