"""The access token that all instances share: one of them renews it, whatever becomes of that one."""

# ruff: noqa: F811 - fixtures of other modules are imported by their names.
from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.http_client import HttpClient
from chalicelib.store.access_token import LEASE, MARGIN, AccessTokens
from chalicelib.store.models import AccessTokenItem
from chalicelib.wechat.client import WechatClient
from tests.conftest import store_calls
from tests.support.http_cases import PATIENT
from tests.support.http_server import Received, Reply, serving
from tests.support.serial_moto import serial_moto  # noqa: F401
from tests.support.wechat_tokens import (
    APP_ID,
    KEY,
    LIFETIME,
    WAIT,
    Clock,
    WeChat,
    instance,
    stored,
)

# One of many.


def test_twenty_threads_at_an_empty_cache_make_one_call(
    any_table: None, clock: Clock, patient: None
) -> None:
    """Of one process: one asks WeChat, all have its token, and each message goes out."""
    asked: list[str] = []

    def reply(request: Received) -> Reply:
        path = request.path.partition("?")[0]
        asked.append(path)
        if path == "/cgi-bin/stable_token":
            return 200, b'{"access_token":"canary-token","expires_in":7200}'
        assert "access_token=canary-token" in request.path
        return 200, b'{"subscribe":1}'

    with serving(reply) as server:
        client = HttpClient(timeouts=PATIENT)
        platform = WechatClient(
            APP_ID, "s", server.url, "", instance(clock), client, clock, clock.sleep
        )
        start = threading.Barrier(20)

        def call(number: int) -> bool:
            start.wait(WAIT)
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

    def until_renewed(_: float) -> None:
        # However long the renewal takes on this machine, it is one pause of the others.
        deadline = time.monotonic() + WAIT
        while stored().leased_until is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def call(_: int) -> str:
        tokens = instance(clock, sleep=until_renewed)
        start.wait(WAIT)
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
    original = AccessTokens._acquire_lease

    def overtaken(self: AccessTokens, seen: AccessTokenItem | None, now: int) -> int | None:
        monkeypatch.setattr(AccessTokens, "_acquire_lease", original)
        assert second.get(wechat.fetch, None) == "canary-token-1"
        return original(self, seen, now)

    monkeypatch.setattr(AccessTokens, "_acquire_lease", overtaken)
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
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """A fresh process costs one read; each message after that costs none."""
    instance(clock).get(wechat.fetch, None)
    tokens = instance(clock)
    with store_calls() as sent:
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
    any_table: None, clock: Clock, wechat: WeChat, patient: None
) -> None:
    """Twenty threads hear that the token has ended, and one asks for another."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    start = threading.Barrier(20)

    def call(_: int) -> str:
        start.wait(WAIT)
        return tokens.get(wechat.fetch, "canary-token-1")

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(call, range(20))) == {"canary-token-2"}
    assert wechat.asked == 2


# While it is renewed.


@pytest.mark.parametrize("same_process", [True, False], ids=["threads", "instances"])
def test_the_old_token_serves_while_it_is_renewed(
    serial_moto: None,
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
            assert wechat.reached.wait(WAIT)
            other = tokens if same_process else instance(clock)
            assert other.get(wechat.fetch, None) == "canary-token-1"
            assert clock.slept == 0
        finally:
            wechat.held.set()
        assert renewing.result(WAIT) == "canary-token-2"
    assert other.get(wechat.fetch, None) == "canary-token-2"
    assert wechat.asked == 2


def test_a_refused_token_does_not_serve_while_it_is_renewed(
    table: None, clock: Clock, wechat: WeChat
) -> None:
    """Others wait for the new one: the old one is of no use to anybody."""
    tokens = instance(clock)
    tokens.get(wechat.fetch, None)
    AccessTokenItem(KEY).update([AccessTokenItem.leased_until.set(clock() + 3)])
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
