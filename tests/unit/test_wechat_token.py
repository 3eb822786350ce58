"""The access token that all instances share, and its renewal by one of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.http_client import HttpClient
from chalicelib.store import access_token
from chalicelib.store.access_token import LEASE, MARGIN, AccessTokens
from chalicelib.store.ephemeral_models import AccessTokenItem
from chalicelib.wechat.client import WechatClient
from tests.conftest import store_calls
from tests.support.http_cases import PATIENT
from tests.support.http_server import Received, Reply, serving
from tests.support.waiting import wait_until
from tests.support.wechat_tokens import (
    APP_ID,
    KEY,
    LIFETIME,
    WAIT,
    Clock,
    TokenSource,
    instance,
    stored,
)

# One of many.


def test_twenty_threads_at_an_empty_cache_make_one_call(
    token_tables: None, token_clock: Clock, patient_waiters: None
) -> None:
    """Within one process: one thread requests the token, and every message is sent."""
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
            APP_ID,
            "s",
            server.url,
            "",
            instance(token_clock),
            client,
            token_clock,
            token_clock.sleep,
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
    token_tables: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """One has the lease, and the others read its token."""
    start = threading.Barrier(8)

    def until_renewed(_: float) -> None:
        # However long the renewal takes on this machine, it is one pause of the others.
        wait_until(lambda: stored().leased_until is None)

    def call(_: int) -> str:
        tokens = instance(token_clock, sleep=until_renewed)
        start.wait(WAIT)
        return tokens.get(token_source.fetch, None)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {"canary-token-1"}
    assert token_source.asked == 1
    assert stored().leased_until is None


def test_a_thread_does_not_wait_for_another_one_for_ever(
    token_clock: Clock, token_source: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token to use meanwhile, WeChat counts as unavailable."""
    monkeypatch.setattr(access_token, "_PAUSE", 0)
    tokens = instance(token_clock)
    with tokens._lock, pytest.raises(Unavailable):
        tokens.get(token_source.fetch, None)
    assert token_source.asked == 0


def test_no_lease_is_taken_after_a_concurrent_renewal(
    token_tables: None,
    token_clock: Clock,
    token_source: TokenSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another instance renewed between the read and the write of the table."""
    first, second = instance(token_clock), instance(token_clock)
    original = AccessTokens._acquire_lease

    def overtaken(self: AccessTokens, seen: AccessTokenItem | None, now: int) -> int | None:
        monkeypatch.setattr(AccessTokens, "_acquire_lease", original)
        assert second.get(token_source.fetch, None) == "canary-token-1"
        return original(self, seen, now)

    monkeypatch.setattr(AccessTokens, "_acquire_lease", overtaken)
    assert first.get(token_source.fetch, None) == "canary-token-1"
    assert token_source.asked == 1


# A token's life.


def test_a_token_is_requested_once_in_its_life(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """It is kept until four minutes before its end; from then on WeChat issues a new one."""
    tokens = instance(token_clock)
    for passed in (0, 1, LIFETIME - MARGIN - 1):
        token_clock.time = 1_800_000_000 + passed
        assert tokens.get(token_source.fetch, None) == "canary-token-1"
        assert instance(token_clock).get(token_source.fetch, None) == "canary-token-1"
    token_clock.time += 1
    assert tokens.get(token_source.fetch, None) == "canary-token-2"
    assert instance(token_clock).get(token_source.fetch, None) == "canary-token-2"
    assert token_source.asked == 2
    # In its last 300 seconds WeChat gives out the next token, and not before.
    assert MARGIN < 300


@pytest.mark.parametrize("lifetime", [1, 60, 300, MARGIN, MARGIN + 1])
def test_a_token_near_its_end_is_used(
    token_table: None, token_clock: Clock, token_source: TokenSource, lifetime: int
) -> None:
    """It is not requested again with each message."""
    token_source.lifetime = lifetime
    tokens = instance(token_clock)
    for passed in range(lifetime):
        token_clock.time = 1_800_000_000 + passed
        tokens.get(token_source.fetch, None)
    assert 1 <= token_source.asked <= 12
    token_clock.time = 1_800_000_000 + 10 * lifetime
    asked = token_source.asked
    tokens.get(token_source.fetch, None)
    assert token_source.asked == asked + 1


def test_the_table_is_read_once_by_a_process(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """Further messages need no read."""
    instance(token_clock).get(token_source.fetch, None)
    tokens = instance(token_clock)
    with store_calls() as sent:
        for _ in range(3):
            tokens.get(token_source.fetch, None)
    assert sent == ["GetItem"]


def test_a_refused_token_is_replaced_once_for_all(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """A second instance with the refused token reads the new one from the table."""
    first, second = instance(token_clock), instance(token_clock)
    for tokens in (first, second):
        assert tokens.get(token_source.fetch, None) == "canary-token-1"
    assert first.get(token_source.fetch, "canary-token-1") == "canary-token-2"
    assert second.get(token_source.fetch, "canary-token-1") == "canary-token-2"
    assert second.get(token_source.fetch, "canary-token-1") == "canary-token-2"
    assert token_source.asked == 2


def test_concurrent_refusals_of_a_token_replace_it_once(
    token_tables: None, token_clock: Clock, token_source: TokenSource, patient_waiters: None
) -> None:
    """Twenty threads are refused, and one requests another token."""
    tokens = instance(token_clock)
    tokens.get(token_source.fetch, None)
    start = threading.Barrier(20)

    def call(_: int) -> str:
        start.wait(WAIT)
        return tokens.get(token_source.fetch, "canary-token-1")

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(call, range(20))) == {"canary-token-2"}
    assert token_source.asked == 2


# While it is renewed.


@pytest.mark.parametrize("same_process", [True, False], ids=["threads", "instances"])
def test_the_old_token_is_used_during_its_renewal(
    serial_moto: None,
    token_table: None,
    token_clock: Clock,
    token_source: TokenSource,
    same_process: bool,
) -> None:
    """One instance renews; the others neither wait nor request."""
    tokens = instance(token_clock)
    tokens.get(token_source.fetch, None)
    token_clock.time += LIFETIME - MARGIN
    token_source.held, token_source.reached = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(tokens.get, token_source.fetch, None)
        try:
            assert token_source.reached.wait(WAIT)
            other = tokens if same_process else instance(token_clock)
            assert other.get(token_source.fetch, None) == "canary-token-1"
            assert token_clock.slept == 0
        finally:
            token_source.held.set()
        assert renewing.result(WAIT) == "canary-token-2"
    assert other.get(token_source.fetch, None) == "canary-token-2"
    assert token_source.asked == 2


def test_a_refused_token_is_not_used_during_its_renewal(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """The others wait for the new one."""
    tokens = instance(token_clock)
    tokens.get(token_source.fetch, None)
    AccessTokenItem(KEY).update([AccessTokenItem.leased_until.set(token_clock() + 3)])
    assert tokens.get(token_source.fetch, "canary-token-1") == "canary-token-2"
    assert token_clock.time >= 1_800_000_003


def test_the_old_token_is_used_while_wechat_issues_none(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """WeChat is called once in each lease, not with each message."""
    tokens = instance(token_clock)
    tokens.get(token_source.fetch, None)
    token_clock.time += LIFETIME - MARGIN
    token_source.down = True
    for _ in range(3):
        assert tokens.get(token_source.fetch, None) == "canary-token-1"
        assert instance(token_clock).get(token_source.fetch, None) == "canary-token-1"
    assert token_source.asked == 2
    token_clock.time += LEASE
    assert tokens.get(token_source.fetch, None) == "canary-token-1"
    assert token_source.asked == 3
    token_clock.time += MARGIN
    with pytest.raises(Unavailable):
        tokens.get(token_source.fetch, None)


def test_a_failed_request_leaves_no_lease(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """The next message requests a token at once."""
    token_source.down = True
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            instance(token_clock).get(token_source.fetch, None)
        assert caught.value.dependency == "wechat"
    token_source.down = False
    assert instance(token_clock).get(token_source.fetch, None) == "canary-token-3"
    assert token_clock.slept == 0
