"""The benchmarks' arithmetic, the floor's replay, and the package's variants."""

from __future__ import annotations

import json
import os
import re
import zipfile
from importlib.metadata import version
from pathlib import Path

import botocore
import pytest

from tests.perf.bench import figures, floor, goals, packaging, peer_packages, prices, units
from tests.perf.bench.floor import Step
from tests.perf.bench.prices import Prices, Usage


def test_a_percentile_is_a_sample_by_nearest_rank() -> None:
    """Of a hundred samples the 99th is p99, and of three the last."""
    samples = [float(number) for number in range(100, 0, -1)]
    assert figures.percentile(samples, 0.5) == 50
    assert figures.percentile(samples, 0.99) == 99
    assert figures.percentile([3.0, 1.0, 2.0], 0.99) == 3
    assert figures.percentile([7.0], 0.5) == 7


def test_a_line_has_base_slope_and_bend() -> None:
    """The outer points give base and slope; the middle one's distance is the bend."""
    assert figures.line((100, 250), (300, 650)) == (50, 2)
    assert figures.bend([(100, 250), (200, 450), (300, 650)]) == 0
    assert figures.bend([(100, 250), (200, 495), (300, 650)]) == pytest.approx(0.1)


def test_a_table_shows_every_row_under_its_column() -> None:
    """Numbers are aligned to the right; a missing value is a dash, a truth value a word."""
    shown = figures.table("t", [{"a": "x", "b": 1_000, "met": True}, {"a": "longer", "b": None}])
    assert shown.splitlines() == [
        "",
        "t",
        "  a           b  met",
        "  x       1,000  yes",
        "  longer      -    -",
    ]


def test_a_transaction_is_billed_as_two_writes_of_each_item() -> None:
    """A put counts by its size in whole KB; DynamoDB Local's own figure for transactions is wrong."""
    large = {"Put": {"Item": {"name": {"S": "x" * 1_500}}}}
    request = {"TransactItems": [{"Update": {}}, {"ConditionCheck": {}}, large]}
    told = {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 4.0}]}
    assert units.consumed(request, told, "TransactWriteItems") == 2 + 2 + 4


def test_a_refused_write_is_billed_and_a_failed_read_is_not() -> None:
    """An error response of a read names no units."""
    assert units.consumed({}, {"__type": "ConditionalCheckFailedException"}, "UpdateItem") == 1
    assert units.consumed({}, {"__type": "InternalServerError"}, "GetItem") == 0
    assert units.consumed({}, {"ConsumedCapacity": {"CapacityUnits": 0.5}}, "GetItem") == 0.5


def test_a_read_that_finds_nothing_is_billed_as_a_small_item() -> None:
    """DynamoDB Local's answer has no units for it; keys left for another call are billed there."""
    nothing = {"ConsumedCapacity": {"CapacityUnits": 0.0}}
    assert units.consumed({}, nothing, "Query") == 0.5
    assert units.consumed({"ConsistentRead": True}, nothing, "GetItem") == 1
    assert units.consumed({}, nothing, "UpdateItem") == 0

    keys = [{"id": {"S": str(number)}} for number in range(5)]
    request = {"RequestItems": {"a": {"Keys": keys, "ConsistentRead": True}, "b": {"Keys": keys}}}
    answer = {
        "ConsumedCapacity": [{"TableName": "a", "CapacityUnits": 2.0}],
        "Responses": {"a": [{}, {}]},
        "UnprocessedKeys": {"a": {"Keys": keys[:1]}},
    }
    assert units.consumed(request, answer, "BatchGetItem") == 2 + 2 * 1 + 5 * 0.5


def test_costs_are_usage_times_price() -> None:
    """Prices per million are applied per million; the total is the sum."""
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


def test_a_price_can_be_replaced_by_name() -> None:
    """A name that is not in the list is refused."""
    assert prices.with_own_prices(["sms=0.03"]).sms == 0.03
    assert prices.with_own_prices([]) == Prices()
    with pytest.raises(ValueError, match="no such price: sms2"):
        prices.with_own_prices(["sms2=1"])


def test_lambda_bills_memory_by_time() -> None:
    """A second of 1,024 MB is one GB-second."""
    assert prices.gb_seconds(1_000, 1_024) == 1
    assert prices.gb_seconds(250, 2_048) == 0.5


def test_a_long_sms_is_billed_by_sixty_seven_characters() -> None:
    """One message holds seventy, with the signature and its brackets."""
    assert prices.sms_parts("字" * 66, "签名") == 1
    assert prices.sms_parts("字" * 67, "签名") == 2
    assert prices.sms_parts("字" * 131, "签名") == 3


def goal_results(found: goals.Found) -> dict[str, tuple[float, str, bool]]:
    """Return the goals by name: measured, target, met."""
    return {row["goal"]: (row["measured"], row["target"], row["met"]) for row in goals.goals(found)}


def test_a_recovery_without_hashes_has_two_goals() -> None:
    """The best peer that sends its mail, and the floor, which is no peer."""
    cpu = {
        "ours": 10.0,
        "floor": 5.0,
        "slow": 40.0,
        "fast": 6.0,
        "slow, mail by SMTP": 50.0,
        "fast, mail by SMTP": 12.5,
        "phone": 1.0,
        "phone, SMS by HTTP": 20.0,
    }
    found = {"recovery": {name: {"cpu_ms": spent} for name, spent in cpu.items()}}
    assert goal_results(found) == {
        "whole recovery, CPU without a hash / fast, mail by SMTP": (0.8, "<= 0.85", True),
        "whole recovery, CPU without a hash / floor": (2.0, "<= 1.8", False),
    }
    found["recovery"]["phone, SMS by HTTP"]["cpu_ms"] = 10.0
    assert "whole recovery, CPU without a hash / phone, SMS by HTTP" in goal_results(found)


def test_a_recovery_as_deployed_is_compared_with_the_best_peer() -> None:
    """Without peers there is no goal."""
    found = {"deployed": {name: {"cpu_ms": cpu} for name, cpu in (("ours", 31.0), ("a", 100.0))}}
    assert goal_results(found) == {"whole recovery as deployed, CPU / a": (0.31, "<= 0.3", False)}
    assert goal_results({"deployed": {"ours": {"cpu_ms": 31.0}}}) == {}


def test_a_cold_first_recovery_has_two_goals() -> None:
    """By wall time; neither our variants nor provisioned starts count as ours or as peers."""
    first = goals.FIRST_RECOVERY
    wall = {
        "ours, GET /health": 1.0,
        f"ours{first}": 250.0,
        f"ours{first}, provisioned": 5.0,
        f"ours without byte code{first}": 10.0,
        "bare process": 200.0,
        "bare function": 1.0,
        "a, GET /health": 1.0,
        f"a{first}": 500.0,
        f"b{first}": 260.0,
    }
    found = {"cold": {name: {"wall_ms": took} for name, took in wall.items()}}
    assert goal_results(found) == {
        "cold first recovery, wall / b": (0.962, "<= 0.9", False),
        "cold first recovery, wall / bare process": (1.25, "<= 1.25", True),
    }


def test_a_part_that_did_not_run_has_no_goal() -> None:
    """The goals of the callback and of the yearly worker are independent of it."""
    assert goal_results({}) == {}
    assert goal_results({"callback": {"ratio": 0.51}, "worker": {"ratio": 0.95}}) == {
        "callback, CPU / wechatpy": (0.51, "<= 0.5", False),
        "yearly worker, logins per s / bare argon2": (0.95, ">= 0.9", True),
    }


def recording() -> floor.Recording:
    """Return a recovery's three steps, as ours sends them."""
    steps = []
    start, code, *completion = floor.CALLS
    for operations, path in (
        ([start], "/recovery"),
        ([code], "/recovery/code"),
        (completion, "/recovery/password"),
    ):
        event = {"path": path, "requestContext": {"identity": {"sourceIp": "10.2.3.4"}}}
        calls = [(operation, {"TableName": path}) for operation in operations]
        steps.append(Step(path, event, calls, [({"x-a": "b"}, path)]))
    steps[0].posts.clear()
    return steps


def test_the_floor_replays_the_recorded_calls_of_each_event() -> None:
    """The event is found by the login's address and the path."""
    replay = floor.replay([recording()])
    assert list(replay) == [
        "10.2.3.4 /recovery",
        "10.2.3.4 /recovery/code",
        "10.2.3.4 /recovery/password",
    ]
    assert replay["10.2.3.4 /recovery"] == {
        "calls": [("update_item", {"TableName": "/recovery"})],
        "posts": [],
    }
    assert replay["10.2.3.4 /recovery/code"]["posts"] == [({"x-a": "b"}, "/recovery/code")]


def test_a_call_that_was_repeated_is_recorded_once() -> None:
    """It is recorded as a method of botocore's client and its parameters, in the order of calls."""
    first, second = b'{"TableName": "a"}', b'{"TableName": "b"}'
    calls = [("UpdateItem", first), ("UpdateItem", first), ("TransactWriteItems", second)]
    assert floor.parameters(calls) == [
        ("update_item", {"TableName": "a"}),
        ("transact_write_items", {"TableName": "b"}),
    ]


def test_the_floor_is_five_calls_and_two_posts() -> None:
    """A recovery that sends more or less fails instead of being measured."""
    assert (len(floor.CALLS), floor.POSTS) == (5, 2)
    floor.check(recording())
    more = recording()
    more[2].calls.append(("get_item", {}))
    fewer = recording()
    fewer[1].posts.clear()
    for wrong in (more, fewer):
        with pytest.raises(AssertionError, match="the floor must follow"):
            floor.check(wrong)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """An unpacked package: one service trimmed, all others left out."""
    task = tmp_path / "task"
    described = task / "botocore" / "data" / "sqs" / "2012-11-05" / "service-2.json"
    described.parent.mkdir(parents=True)
    described.write_text("{}")
    (task / f"botocore-{version('botocore')}.dist-info").mkdir()
    compiled = task / "chalicelib" / "__pycache__" / "a.pyc"
    compiled.parent.mkdir(parents=True)
    compiled.touch()
    return task


def services(task: Path) -> set[str]:
    """Return the services that are described, each with what is in its folder."""
    data = task / "botocore" / "data"
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


def test_a_variant_undoes_one_measure_of_the_packaging(task: Path) -> None:
    """One restores the prose of the used services; another adds all services and leaves the used ones."""
    shipped = services(Path(botocore.__file__).parent.parent)
    of_sqs = {path for path in shipped if path.startswith("sqs/")}
    assert len(of_sqs) > 1

    packaging.VARIANTS["with all of botocore's services"](task)
    of_others = {path for path in shipped if "/" in path} - of_sqs
    assert services(task) == {"sqs/2012-11-05/service-2.json", *of_others}

    packaging.VARIANTS["without byte code"](task)
    assert not list(task.rglob("*.pyc"))
    assert services(task) > of_others


def test_the_prose_of_the_used_services_is_restored(task: Path) -> None:
    """The descriptions are botocore's own; byte code stays."""
    packaging.VARIANTS["with botocore's prose"](task)
    shipped = Path(botocore.__file__).parent.parent
    assert services(task) == {path for path in services(shipped) if path.startswith("sqs/")}
    assert list(task.rglob("*.pyc"))


def test_another_version_of_botocore_is_refused(task: Path) -> None:
    """The descriptions must be those of the version in the package."""
    (task / f"botocore-{version('botocore')}.dist-info").rmdir()
    with pytest.raises(AssertionError, match="does not hold botocore"):
        packaging.VARIANTS["with botocore's prose"](task)


def test_a_zip_is_measured_compressed(task: Path, tmp_path: Path) -> None:
    """The size is in MB of a million bytes, as `zipfile` compresses it."""
    (task / "large").write_bytes(bytes(range(256)) * 10_000)
    (task / "random").write_bytes(os.urandom(1_000_000))
    measured = packaging.zip_mb(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("large", "random"):
            archive.write(task / name, name)
    size = (tmp_path / "a.zip").stat().st_size / 1e6
    assert measured == pytest.approx(size, abs=0.01)
    assert 1 < measured < 1.1


def test_requests_comes_from_the_package_if_it_is_there(tmp_path: Path) -> None:
    """Otherwise it comes from the tests' environment."""
    (elsewhere,) = packaging.missing_libraries(tmp_path)
    assert (Path(elsewhere) / "requests" / "__init__.py").exists()
    (tmp_path / "task" / "requests").mkdir(parents=True)
    assert packaging.missing_libraries(tmp_path) == []


def test_the_packages_of_the_node_peer_are_pinned() -> None:
    """Exact versions with SHA-512 hashes, and no address: npm's own configuration has the registry."""
    wanted = json.loads((peer_packages.FOLDER / "package.json").read_text("utf-8"))
    text = (peer_packages.FOLDER / "package-lock.json").read_text("utf-8")
    assert "://" not in re.sub(r'"url": "[^"]+"', "", text)
    locked = json.loads(text)["packages"]
    root = locked.pop("")
    assert root["dependencies"] == wanted["dependencies"]
    for name, version_ in wanted["dependencies"].items():
        assert locked[f"node_modules/{name}"]["version"] == version_
    assert len(locked) > 20
    for name, package in locked.items():
        assert package["integrity"].startswith("sha512-"), name
