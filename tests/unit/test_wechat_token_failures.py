"""The shared access token during failures, and the content of its table."""

from __future__ import annotations

import boto3
import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.security.tokens import Sealer
from chalicelib.store.access_token import LEASE, AccessTokens
from chalicelib.store.models import bind
from chalicelib.wechat.client import PATIENCE
from tests.support.wechat_tokens import (
    KEY,
    LIFETIME,
    NOBODY,
    Clock,
    TokenSource,
    instance,
    lease,
    stored,
)

# Whoever fails.


def test_a_dead_holder_s_lease_expires(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """A waiting instance takes over as soon as it has expired."""
    lease(token_clock() + 3)
    assert instance(token_clock).get(token_source.fetch, None) == "canary-token-1"
    assert (token_source.asked, token_clock()) == (1, 1_800_000_003)


def test_waiting_for_a_token_is_bounded(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """Unavailable after four seconds; after the lease a token is requested again."""
    lease(token_clock() + LEASE)
    with pytest.raises(Unavailable) as caught:
        instance(token_clock).get(token_source.fetch, None)
    assert caught.value.dependency == "wechat"
    assert token_clock.time == pytest.approx(1_800_000_004)
    assert token_source.asked == 0
    token_clock.time = 1_800_000_000 + LEASE
    assert instance(token_clock).get(token_source.fetch, None) == "canary-token-1"


def test_a_lease_outlasts_its_call() -> None:
    """Otherwise a slow holder would be replaced each time."""
    assert LEASE > PATIENCE


def test_a_slow_holder_does_not_overwrite_its_successor_s_token(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """After its lease it does not write to the table."""
    first, second = instance(token_clock), instance(token_clock)

    def slow() -> tuple[str, int]:
        late = token_source.fetch()
        token_clock.time += LEASE
        assert second.get(token_source.fetch, None) == "canary-token-2"
        return late

    assert first.get(slow, None) == "canary-token-1"
    assert instance(token_clock).get(token_source.fetch, None) == "canary-token-2"
    assert stored().leased_until is None


def test_a_slow_holder_does_not_end_its_successor_s_lease(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """A third instance must not renew at the same time."""

    def slow() -> tuple[str, int]:
        token_clock.time += LEASE
        lease(token_clock() + LEASE)
        return token_source.fetch()

    instance(token_clock).get(slow, None)
    assert stored().leased_until == token_clock() + LEASE


def test_a_table_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, token_clock: Clock, token_source: TokenSource
) -> None:
    """WeChat is not called without the lease."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", NOBODY)
    bind("token")
    try:
        with pytest.raises(Unavailable) as caught:
            instance(token_clock).get(token_source.fetch, None)
    finally:
        bind("token")
    assert caught.value.dependency == "store"
    assert token_source.asked == 0


def test_a_cached_token_needs_no_table(
    token_table: None,
    monkeypatch: pytest.MonkeyPatch,
    token_clock: Clock,
    token_source: TokenSource,
) -> None:
    """A message is sent although the table does not answer."""
    tokens = instance(token_clock)
    tokens.get(token_source.fetch, None)
    monkeypatch.setattr(AccessTokens, "_get_shared", lambda *_: pytest.fail("the table was asked"))
    assert tokens.get(token_source.fetch, None) == "canary-token-1"


def test_a_failed_write_of_a_new_token_costs_no_message(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """The token is used although it could not be shared."""
    client = boto3.client("dynamodb")

    def fetch() -> tuple[str, int]:
        client.delete_table(TableName="token-ephemera")
        return token_source.fetch()

    tokens = instance(token_clock)
    assert tokens.get(fetch, None) == "canary-token-1"
    assert tokens.get(fetch, None) == "canary-token-1"


# What lies in the table.


def test_the_stored_token_is_sealed_and_expires(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """A dump of the table contains no token."""
    instance(token_clock).get(token_source.fetch, None)
    items = boto3.client("dynamodb").scan(TableName="token-ephemera")["Items"]
    assert [item["id"]["S"] for item in items] == [KEY]
    assert "canary-token" not in str(items)
    assert token_clock() + LIFETIME < int(items[0]["expires_at"]["N"]) <= token_clock() + 86_400


def test_a_token_sealed_with_a_lost_key_is_replaced(
    token_table: None, token_clock: Clock, token_source: TokenSource
) -> None:
    """After a rotation, an item that cannot be opened counts as none."""
    instance(token_clock).get(token_source.fetch, None)
    rotated = Sealer([b"n" * 32])
    assert instance(token_clock, rotated).get(token_source.fetch, None) == "canary-token-2"
    assert instance(token_clock, rotated).get(token_source.fetch, None) == "canary-token-2"
    assert token_source.asked == 2
