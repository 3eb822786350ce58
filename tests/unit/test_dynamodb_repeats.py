"""What the store adds to botocore's repeats, against a server with scripted responses."""

from __future__ import annotations

import json

import pytest

from chalicelib.store import connection as connections
from chalicelib.store import dynamo
from chalicelib.store.dynamo import ConditionFailed, read_together
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import LoginItem
from tests.support.scripted_dynamodb import (
    ITEM,
    KEY,
    LOST,
    Serve,
    answer,
    refusal,
    unavailable,
    write,
    write_together,
)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_is_done_is_called_only_for_a_refused_repeat(serve: Serve, before: int) -> None:
    """Botocore counts its repeats in a refusal's metadata, too, and keeps the item."""
    serve(*[LOST] * before, refusal("ConditionalCheckFailedException", Item=ITEM))
    seen: list[str] = []

    def is_done(item: CodeItem) -> bool:
        seen.append(str(item.digest))
        return True

    if before:
        assert write(is_done) == "d"
        assert seen == ["d"]
    else:
        with pytest.raises(ConditionFailed) as raised:
            write(is_done)
        assert raised.value.items == (ITEM,)
        assert seen == []


def test_is_done_is_called_after_a_lost_answer_and_a_conflict(serve: Serve) -> None:
    """The lost attempt may have preceded the conflict."""
    serve(
        LOST,
        refusal("TransactionConflictException"),
        refusal("ConditionalCheckFailedException", Item=ITEM),
    )
    assert write(lambda item: item.digest == "d") == "d"


def cancelled(*codes: str) -> bytes:
    reasons = [{"Code": code, **({"Message": "no"} if code != "None" else {})} for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)


PASSING = {
    "a conflict": cancelled("TransactionConflict"),
    "throttling": cancelled("ThrottlingError", "None"),
    "throughput": cancelled("None", "ProvisionedThroughputExceeded"),
    "the account's limit": cancelled("RequestLimitExceeded"),
    "several": cancelled("TransactionConflict", "ThrottlingError"),
}


@pytest.mark.parametrize("passing", PASSING.values(), ids=PASSING)
def test_a_transaction_with_a_passing_conflict_is_repeated(serve: Serve, passing: bytes) -> None:
    """The attempts are bounded and share the token by which DynamoDB recognizes a repeat."""
    script = serve(passing, passing, LOST, answer(b"{}"))
    write_together()
    assert len(script.requests) == 4
    assert len({body["ClientRequestToken"] for body in script.bodies()}) == 1
    assert len(set(map(json.dumps, script.bodies()))) == 1
    script = serve(passing)
    with unavailable():
        write_together()
    assert len(script.requests) == 8
    write_token = script.bodies()[0]["ClientRequestToken"]
    with unavailable():
        write_together()
    assert script.bodies()[-1]["ClientRequestToken"] != write_token


FINAL = {
    "of no valid form": cancelled("ValidationError"),
    "too large": cancelled("ItemCollectionSizeLimitExceeded", "ThrottlingError"),
    "for no reason": cancelled("None"),
}


@pytest.mark.parametrize("final", FINAL.values(), ids=FINAL)
def test_a_transaction_that_cannot_succeed_is_not_repeated(serve: Serve, final: bytes) -> None:
    """One request, then Unavailable."""
    script = serve(final)
    with unavailable():
        write_together()
    assert len(script.requests) == 1


def test_a_failed_condition_counts_more_than_throttling(serve: Serve) -> None:
    """A repeat would be refused as well; the item is returned."""
    reasons = [
        {"Code": "ThrottlingError", "Message": "no"},
        {"Code": "ConditionalCheckFailed", "Message": "no", "Item": ITEM},
    ]
    script = serve(refusal("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(ConditionFailed) as raised:
        write_together()
    assert (raised.value.items, raised.value.failed) == ((None, ITEM), (False, True))
    assert len(script.requests) == 1


def test_a_transaction_in_progress_is_repeated(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier attempt with the same token is still being carried out."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    in_progress = refusal("TransactionInProgressException")
    script = serve(*[in_progress] * 5, answer(b"{}"))
    write_together()
    assert len({body["ClientRequestToken"] for body in script.bodies()}) == 1
    script = serve(in_progress)
    with unavailable():
        write_together()
    assert len(script.requests) <= 8 * connections.ATTEMPTS


def test_requests_for_unprocessed_keys_are_bounded(serve: Serve) -> None:
    """The pauses grow; pynamodb itself would repeat without end."""
    table = "recovery-ephemera"
    left = {
        "Responses": {table: []},
        "UnprocessedKeys": {table: {"Keys": [{"id": {"S": KEY}}], "ConsistentRead": True}},
    }
    found = {"Responses": {table: [ITEM]}, "UnprocessedKeys": {}}
    unprocessed = answer(json.dumps(left).encode())
    script = serve(unprocessed, unprocessed, answer(json.dumps(found).encode()))
    items = read_together([(CodeItem, KEY), (CodeItem, "code#2"), (LoginItem, "1")])
    assert list(items) == [(CodeItem, KEY)]
    requested = [body["RequestItems"] for body in script.bodies()]
    assert set(requested[0]) == {table, "recovery-logins"}
    assert requested[1:] == [left["UnprocessedKeys"]] * 2
    script = serve(unprocessed)
    with unavailable():
        read_together([(CodeItem, KEY)])
    assert len(script.requests) == 8


def test_the_pauses_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They sum to at most 1.6 s, and no attempt begins long after the first."""
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    assert len(list(dynamo._attempts())) == 8
    longest = [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]
    assert len(slept) == len(longest)
    for pause, most in zip(slept, longest, strict=True):
        assert most / 2 <= pause <= most
    begun, starts = clock[0], []
    for _ in dynamo._attempts():
        starts.append(clock[0] - begun)
        # Each attempt is slow.
        clock[0] += 2
    assert len(starts) == 2
    assert starts[-1] < 3


def test_an_update_that_conflicts_again_and_again_is_unavailable(serve: Serve) -> None:
    """The attempts are bounded, as those of a transaction."""
    script = serve(refusal("TransactionConflictException"))
    with unavailable():
        write()
    assert len(script.requests) == 8
