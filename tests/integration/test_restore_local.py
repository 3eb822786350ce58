"""The drill of a restore on Amazon's own DynamoDB Local: the tables as they were at a time.

moto copies the present items whatever the time is. DynamoDB Local has no point-in-time recovery, so an
export of each table at that time stands for it, and everything else is DynamoDB's: tables, indexes, expiry,
protection, counts, the comparison, and the service on the restored tables.
"""

from __future__ import annotations

import time
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib import container, runtime
from chalicelib.services.follower_check import FollowerCheck
from chalicelib.settings import load
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.wechat.client import WechatClient
from infra.ops.restore import Restoration
from tests.conftest import PASSWORD, SETTINGS, Following, MakeWorld, World, add_firm
from tests.support.cheap_hasher import cheap_hasher

KEPT, CHANGED, DAMAGED, DELETED = "11010148", "31000001", "44000001", "33000001"
OPENING = "Opening-password-1"
LATER = "Another-password-8"
DURABLE = ("firms", "logins", "followers", "audit", "runs", "desk")

MISSING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("describe_continuous_backups", {}),
    (
        "update_continuous_backups",
        {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    ),
)


class Exported:
    """A client of DynamoDB Local with the exports of its tables in place of continuous backups."""

    def __init__(self, client: Any, tables: list[str]) -> None:
        """Export these tables as they are now."""
        self._client = client
        self._exports = {
            name: [
                item
                for page in client.get_paginator("scan").paginate(
                    TableName=name, ConsistentRead=True
                )
                for item in page["Items"]
            ]
            for name in tables
        }
        self.backed_up: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_continuous_backups(self, **_: object) -> dict[str, Any]:
        recovery = {"PointInTimeRecoveryStatus": "ENABLED"}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def update_continuous_backups(self, **request: Any) -> None:
        self.backed_up.add(request["TableName"])

    def restore_table_to_point_in_time(self, **request: Any) -> None:
        """Create the target with the source's keys and indexes, and write the export into it."""
        source, target = request["SourceTableName"], request["TargetTableName"]
        table = self._client.describe_table(TableName=source)["Table"]
        indexes = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in table.get("GlobalSecondaryIndexes", [])
        ]
        self._client.create_table(
            TableName=target,
            BillingMode=request["BillingModeOverride"],
            AttributeDefinitions=table["AttributeDefinitions"],
            KeySchema=table["KeySchema"],
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )
        items = self._exports[source]
        for start in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            unwritten = self._client.batch_write_item(RequestItems={target: puts})
            assert not unwritten["UnprocessedItems"]


@pytest.fixture
def world(make_real_world: MakeWorld) -> World:
    """A world of the machine's time, since restored tables expire by it, with four firms."""
    made = make_real_world()
    made.clock.time = int(time.time())
    for firm in (KEPT, CHANGED, DAMAGED, DELETED):
        add_firm(made.service.hasher, firm, phone=f"+86138{firm}"[:14], finance_phone=None)
    return made


def recover(world: World, login: str, password: str, openid: str) -> None:
    """Recover a login's password by SMS, in a WeChat that is then bound."""
    token = world.token(login, openid)
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1], password).status_code == 200


def is_right(world: World, login: str, password: str) -> bool:
    """Return what the login page is answered."""
    answer = world.call("POST", "/credentials/verify", {"login": login, "password": password})
    assert answer.status_code == 200, answer.body
    return bool(answer.json_body["valid"])


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_the_tables_return_to_a_time_and_the_service_answers_from_them(world: World) -> None:
    """What was damaged since is whole, what was changed since is lost, and nothing old is touched."""
    prefix = world.service.settings.table_prefix
    target = f"{prefix}-restored"
    recover(world, KEPT, PASSWORD, "o-alice")
    client = boto3.client("dynamodb")
    exported = Exported(client, [f"{prefix}-{name}" for name in DURABLE])

    recover(world, CHANGED, LATER, "o-bob")
    damaged = LoginItem.get(DAMAGED)
    damaged.update([LoginItem.password_hash.set("overwritten"), LoginItem.phone.remove()])
    LoginItem.get(DELETED).delete()
    events = len(list(AuditItem.query(CHANGED)))
    assert events > 0

    restored = Restoration(exported, exported, prefix, target, sleep=lambda _: None).run(None)
    # Four firms with two logins each; one login was deleted since.
    assert restored.counts["logins"] == (7, 8)
    assert restored.counts["firms"] == (4, 4)
    assert restored.counts["audit"][0] == restored.counts["audit"][1] + events
    # The damaged hash is named; the one that its owner has changed is of a later version, and the deleted
    # login has nothing to compare with.
    assert (restored.sampled, restored.unchanged, restored.wrong) == (8, 5, 1)
    assert exported.backed_up == {f"{target}-{name}" for name in DURABLE}
    for name in (*DURABLE, "ephemera"):
        table = client.describe_table(TableName=f"{target}-{name}")["Table"]
        assert table["DeletionProtectionEnabled"] == (name != "ephemera")
        expiry = client.describe_time_to_live(TableName=f"{target}-{name}")
        expires = expiry["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
        assert expires == (name not in ("followers", "runs"))
    with pytest.raises(ClientError, match="deletion"):
        client.delete_table(TableName=f"{target}-logins")

    before = client.scan(TableName=f"{prefix}-logins", ConsistentRead=True)["Items"]
    service = container.Service(
        load({**SETTINGS, "TABLE_PREFIX": target}),
        clock=world.clock,
        gateways={"console": world.phones},
        pause=world.pauses,
    )
    service.hasher = cheap_hasher(service)
    service.follower_check = FollowerCheck(service.followers, cast(WechatClient, Following()))
    runtime.install(service)
    moved = World(service, world.clock, world.phones, world.http, world.pauses)
    assert is_right(moved, KEPT, PASSWORD)
    assert is_right(moved, DAMAGED, OPENING)
    assert is_right(moved, DELETED, OPENING)
    assert (is_right(moved, CHANGED, LATER), is_right(moved, CHANGED, OPENING)) == (False, True)
    assert list(AuditItem.query(CHANGED)) == []
    # The bound WeChat is found by the restored index, and a recovery goes through.
    bound = moved.call("GET", "/recovery/logins", openid="o-alice").json_body["logins"]
    assert [each["login"] for each in bound] == [KEPT, f"{KEPT}_cw"]
    world.clock.time += 61
    recover(moved, CHANGED, "Once-more-set-7", "o-bob")
    assert is_right(moved, CHANGED, "Once-more-set-7")
    assert client.scan(TableName=f"{prefix}-logins", ConsistentRead=True)["Items"] == before


@pytest.mark.parametrize(("operation", "request_"), MISSING)
def test_dynamodb_local_has_no_continuous_backups(
    world: World, operation: str, request_: dict[str, Any]
) -> None:
    """The reason for the export. Once it has them, the drill needs no stand-in."""
    name = f"{world.service.settings.table_prefix}-logins"
    with pytest.raises(ClientError, match="UnknownOperationException"):
        getattr(boto3.client("dynamodb"), operation)(TableName=name, **request_)
