"""The benchmarks' arithmetic: percentiles, lines, request units, money, goals."""

from __future__ import annotations

import pytest

from tests.bench import figures, goals, prices, units
from tests.bench.prices import Prices, Usage


def test_a_percentile_is_a_sample_by_nearest_rank() -> None:
    """Of a hundred samples the 99th is p99, and of three the last."""
    samples = [float(number) for number in range(100, 0, -1)]
    assert figures.percentile(samples, 0.5) == 50
    assert figures.percentile(samples, 0.99) == 99
    assert figures.percentile([3.0, 1.0, 2.0], 0.99) == 3
    assert figures.percentile([7.0], 0.5) == 7


def test_a_line_tells_what_lies_beyond_and_how_straight_the_points_are() -> None:
    """Base and slope by the outer points; the middle one's distance is the bend."""
    assert figures.line((100, 250), (300, 650)) == (50, 2)
    assert figures.bend([(100, 250), (200, 450), (300, 650)]) == 0
    assert figures.bend([(100, 250), (200, 495), (300, 650)]) == pytest.approx(0.1)


def test_a_table_shows_every_row_under_its_column() -> None:
    """Numbers to the right, what is missing as a dash, truth as a word."""
    shown = figures.table("t", [{"a": "x", "b": 1_000, "met": True}, {"a": "longer", "b": None}])
    assert shown.splitlines() == [
        "",
        "t",
        "  a           b  met",
        "  x       1,000  yes",
        "  longer      -    -",
    ]


def test_a_transaction_is_billed_as_two_writes_of_each_item() -> None:
    """A put by its size, in whole KB; what DynamoDB Local says of transactions is not believed."""
    large = {"Put": {"Item": {"name": {"S": "x" * 1_500}}}}
    request = {"TransactItems": [{"Update": {}}, {"ConditionCheck": {}}, large]}
    told = {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 4.0}]}
    assert units.consumed(request, told, "TransactWriteItems") == 2 + 2 + 4


def test_a_refused_write_is_billed_and_a_failed_read_is_not() -> None:
    """An answer of failure names no units."""
    assert units.consumed({}, {"__type": "ConditionalCheckFailedException"}, "UpdateItem") == 1
    assert units.consumed({}, {"__type": "InternalServerError"}, "GetItem") == 0
    assert units.consumed({}, {"ConsumedCapacity": {"CapacityUnits": 0.5}}, "GetItem") == 0.5


def test_money_is_usage_by_price() -> None:
    """Millions where the list says millions, and the whole as the sum."""
    usage = Usage(write_units=200, read_units=100, lambda_gb_seconds=3, api_requests=3, sms=2)
    list_ = Prices(
        million_write_units=10,
        million_read_units=1,
        lambda_gb_second=0.5,
        million_lambda_requests=0,
        million_api_requests=1_000_000,
        million_queue_requests=9,
        sms=0.25,
    )
    costs = prices.money(usage, list_)
    assert costs["dynamodb"] == pytest.approx(0.0021)
    assert costs["lambda"] == 1.5
    assert costs["api"] == 3
    assert costs["sms"] == 0.5
    assert costs["total"] == pytest.approx(5.0021)
    twice = prices.money(usage.times(2), list_)
    assert twice["total"] == pytest.approx(2 * costs["total"])


def test_a_price_of_ones_own_replaces_the_lists() -> None:
    """By name; a name that is not in the list is refused."""
    assert prices.given(["sms=0.03"]).sms == 0.03
    assert prices.given([]) == Prices()
    with pytest.raises(ValueError, match="no such price: sms2"):
        prices.given(["sms2=1"])


def test_lambda_bills_memory_by_time() -> None:
    """A second of 1,024 MB is one GB-second."""
    assert prices.gb_seconds(1_000, 1_024) == 1
    assert prices.gb_seconds(250, 2_048) == 0.5


def test_a_long_sms_is_billed_by_sixty_seven_characters() -> None:
    """Seventy go into one message, with the signature and its brackets."""
    assert prices.sms_parts("字" * 66, "签名") == 1
    assert prices.sms_parts("字" * 67, "签名") == 2
    assert prices.sms_parts("字" * 131, "签名") == 3


def test_goals_are_ratios_of_one_run() -> None:
    """Against the best peer; a part that did not run has no goal."""
    services = {"ours": 10.0, "slow": 40.0, "fast": 16.0, "slow, mail by SMTP": 50.0}
    found = {
        "recovery": {name: {"cpu_ms": cpu} for name, cpu in services.items()},
        "worker": {"ratio": 0.95},
    }
    assert goals.goals(found) == [
        {
            "goal": "whole recovery, CPU without a hash / fast",
            "measured": 0.625,
            "target": "<= 0.5",
            "met": False,
        },
        {
            "goal": "whole recovery, CPU without a hash / slow, mail by SMTP",
            "measured": 0.2,
            "target": "<= 0.5",
            "met": True,
        },
        {
            "goal": "yearly worker, logins per s / bare argon2",
            "measured": 0.95,
            "target": ">= 0.9",
            "met": True,
        },
    ]
