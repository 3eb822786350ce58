"""The drill of a restore: the tables under a new prefix, their protection, and the service on them."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import click
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from chalicelib import container, runtime
from chalicelib.domain.catalogue import fill
from chalicelib.settings import load
from chalicelib.store.models import LoginItem
from infra.ops import restore, words
from infra.ops.command import Failed
from infra.ops.restore import Restoration, Restored
from tests.conftest import SETTINGS, World
from tests.support.ops_runner import Run

pytestmark = pytest.mark.usefixtures("serial_moto")

DURABLE = ("firms", "logins", "followers", "audit", "runs", "desk")


@pytest.fixture
def client(world: World) -> Any:
    """Turn on the backups of the world's tables, as the template does; return DynamoDB's client."""
    found = boto3.client("dynamodb")
    for name in DURABLE:
        found.update_continuous_backups(
            TableName=f"recovery-{name}",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    return found


def test_the_drill(world: World, client: Any, run_ops: Run) -> None:
    """Restored, protected, compared; and a recovery succeeds on the restored tables."""
    before = world.login_item().password_hash
    options = ("--target", "restored", "--reason", "drill", "--json")
    ran = run_ops("restore", "--to", "latest", *options)
    assert ran.status == 0, ran.out + ran.err
    counts = ran.json["counts"]
    assert set(counts) == set(DURABLE)
    assert counts["logins"]["now"] == counts["logins"]["restored"] == LoginItem.count() > 0
    assert ran.json["sampled"] == counts["logins"]["restored"]
    assert (ran.json["unchanged"] > 0, ran.json["wrong"]) == (True, 0)
    for name in DURABLE:
        table = f"restored-{name}"
        assert client.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]
        backups = client.describe_continuous_backups(TableName=table)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = client.describe_time_to_live(TableName="restored-ephemera")
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert client.scan(TableName="restored-ephemera")["Count"] == 0

    service = container.Service(
        load({**SETTINGS, "TABLE_PREFIX": "restored"}),
        clock=world.clock,
        gateways={"console": world.phones},
    )
    runtime.install(service)
    assert world.login_item().password_hash == before
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200
    # The old tables are as they were.
    old = client.get_item(TableName="recovery-logins", Key={"login": {"S": "11010148"}})["Item"]
    assert old["password_hash"]["S"] == before


def test_wrong_hashes_are_named(world: World, client: Any) -> None:
    """A password of the same version with another hash is no password that its owner set."""
    restoration = Restoration(client, client, "recovery", "restored")
    restoration.run(None)
    login = LoginItem.get("11010148")
    login.update([LoginItem.password_hash.set("another")])
    durable = [each for each in restoration._declared if "PointInTimeRecoverySpecification" in each]
    assert restoration._compared(durable).wrong == 1
    # A password changed since is of a later version, and nothing to compare with.
    login.update([LoginItem.password_version.set(9)])
    assert restoration._compared(durable).wrong == 0


def test_nothing_is_changed_where_a_restore_is_not_possible(
    world: World, client: Any, run_ops: Run
) -> None:
    """A taken prefix, a table without backups, a time outside the span."""
    tables = client.list_tables()["TableNames"]
    options = ("--reason", "x", "--json")
    taken = run_ops("restore", "--to", "latest", "--target", "recovery", *options)
    assert (taken.status, taken.json["error"]) == (2, "target-taken")
    early = run_ops("restore", "--to", "2020-01-01", "--target", "restored", *options)
    assert (early.status, early.json["error"]) == (2, "time")
    client.update_continuous_backups(
        TableName="recovery-runs",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    without = run_ops("restore", "--to", "latest", "--target", "restored", *options)
    assert (without.status, without.json["error"]) == (2, "no-backup")
    wrong = run_ops("restore", "--to", "latest", "--target", "UPPER", *options)
    assert (wrong.status, wrong.json["error"]) == (2, "usage")
    assert client.list_tables()["TableNames"] == tables


def test_a_time_without_a_zone_is_beijing_s() -> None:
    """As operators write it; a zone in the text is kept."""
    assert restore.parse_time("2026-11-30T09:00") == datetime(2026, 11, 30, 1, tzinfo=UTC)
    assert restore.parse_time("2026-11-30T09:00+00:00") == datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert restore.parse_time("latest") is None
    with pytest.raises(click.UsageError):
        restore.parse_time("yesterday")


class Slow:
    """A client whose tables become active, and get their backups, after some looks."""

    def __init__(self, client: Any, region: str, looks: int) -> None:
        self._client = client
        self.looks = looks
        self.requests: list[dict[str, Any]] = []
        self.meta = type("Meta", (), {"region_name": region})
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_table(self, **request: Any) -> Any:
        answer = self._client.describe_table(**request)
        self.looks -= 1
        if self.looks >= 0:
            answer["Table"]["TableStatus"] = "CREATING"
        return answer

    def restore_table_to_point_in_time(self, **request: Any) -> Any:
        self.requests.append(request)
        # moto has the tables of one region.
        name = request.get("SourceTableName") or request["SourceTableArn"].rpartition("/")[2]
        return self._client.restore_table_to_point_in_time(
            SourceTableName=name, TargetTableName=request["TargetTableName"]
        )


def test_a_restore_waits_and_may_be_of_another_region(world: World, client: Any) -> None:
    """The time and the source's ARN are passed on; a table that is not active is awaited."""
    pauses: list[float] = []
    there = Slow(client, "cn-northwest-1", 2)
    at = datetime.now(UTC) - timedelta(minutes=10)
    restoration = Restoration(client, there, "recovery", "restored", sleep=pauses.append)
    restoration._check_time = lambda *_: None  # type: ignore[method-assign]
    assert restoration.run(at).wrong == 0
    assert pauses == [restore.PAUSE] * 2
    assert len(there.requests) == len(DURABLE)
    for request in there.requests:
        assert request["RestoreDateTime"] == at
        assert request["SourceTableArn"].startswith("arn:aws")
        assert request["SSESpecificationOverride"] == {"Enabled": True, "SSEType": "KMS"}
    stuck = Slow(client, "cn-north-1", 10**9)
    waiting = Restoration(client, stuck, "recovery", "again", sleep=lambda _: None)
    with pytest.raises(Failed):
        waiting._await("restored-logins")


class WithoutBackups:
    """A client that refuses continuous backups with each of the codes, then accepts them."""

    def __init__(self, *codes: str) -> None:
        self._codes = list(codes)
        self.protected: list[str] = []

    def update_continuous_backups(self, **_: Any) -> None:
        if self._codes:
            error: Any = {"Error": {"Code": self._codes.pop(0), "Message": ""}}
            raise ClientError(error, "UpdateContinuousBackups")

    def update_table(self, **request: Any) -> None:
        self.protected.append(request["TableName"])


def test_backups_that_are_not_ready_are_awaited() -> None:
    """A table that has just become active may not have its own yet; other refusals end the restore."""
    pauses: list[float] = []
    declared = {"TableName": "restored-runs", "PointInTimeRecoverySpecification": {}}
    there = WithoutBackups(*["ContinuousBackupsUnavailableException"] * 2)
    Restoration(None, there, "recovery", "restored", sleep=pauses.append)._protect(declared)
    assert (pauses, there.protected) == ([restore.PAUSE] * 2, ["restored-runs"])
    there = WithoutBackups("AccessDeniedException")
    with pytest.raises(ClientError):
        Restoration(None, there, "recovery", "restored")._protect(declared)
    assert there.protected == []


def test_the_result_is_shown_to_the_operator() -> None:
    """The items of each table now and then, the sample of passwords, and what to do next."""
    shown = Console(file=io.StringIO(), width=200)
    restored = Restored("restored", {"logins": (4, 3)}, sampled=3, unchanged=2, wrong=1)
    restore._show(shown, restored, "recovery")
    assert isinstance(shown.file, io.StringIO)
    text = shown.file.getvalue()
    for sentence, values in (
        (words.RESTORED, {"prefix": "restored"}),
        (words.RESTORED_COUNT, {"name": "logins", "now": 4, "then": 3}),
        (words.RESTORED_SAMPLE, {"sampled": 3, "unchanged": 2, "wrong": 1}),
        (words.RESTORED_NEXT, {"target": "restored", "prefix": "recovery"}),
    ):
        assert fill(sentence, **values) in text
