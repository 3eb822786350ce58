"""Transactions of the local stack's moto: undone whole, and without a copy of every item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models.dynamo_type import Item

from infra.local import moto_transactions


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client of moto with the tables `plain` and `sorted`, the second one with a sort key."""
    moto_transactions.install()
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        for name, keys in (("plain", ("id",)), ("sorted", ("id", "at"))):
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        yield client


def key(number: str, table: str) -> dict[str, Any]:
    return {"id": {"S": number}} | ({"at": {"S": "1"}} if table == "sorted" else {})


def prepend(table: str, number: str, condition: str | None = None) -> dict[str, Any]:
    """Return an update that adds to a list, created if missing."""
    update = {
        "TableName": table,
        "Key": key(number, table),
        "UpdateExpression": "SET #t = list_append(:new, if_not_exists(#t, :none))",
        "ExpressionAttributeNames": {"#t": "times"},
        "ExpressionAttributeValues": {":new": {"L": [{"N": "7"}]}, ":none": {"L": []}},
    }
    return {"Update": update | ({"ConditionExpression": condition} if condition else {})}


def items(client: Any) -> dict[str, Any]:
    return {name: client.scan(TableName=name)["Items"] for name in ("plain", "sorted")}


@pytest.mark.parametrize("table", ["plain", "sorted"])
def test_a_transaction_that_fails_changes_nothing(dynamodb: Any, table: str) -> None:
    """Neither an update, nor a put, nor a deletion before the write whose condition fails."""
    dynamodb.transact_write_items(TransactItems=[prepend(table, "1"), prepend(table, "2")])
    before = items(dynamodb)
    writes = [
        prepend(table, "1"),
        prepend(table, "3"),
        {"Put": {"TableName": table, "Item": key("4", table)}},
        {"Delete": {"TableName": table, "Key": key("2", table)}},
        prepend(table, "5", "attribute_exists(id)"),
    ]
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=writes)
    assert refused.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert items(dynamodb) == before
    dynamodb.transact_write_items(TransactItems=writes[:4])
    assert len(items(dynamodb)[table]) == 3
    (one,) = (item for item in items(dynamodb)[table] if item["id"]["S"] == "1")
    assert one["times"]["L"] == [{"N": "7"}] * 2


@pytest.mark.parametrize("table", ["plain", "sorted"])
def test_a_transaction_copies_no_other_items(
    dynamodb: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many copies in a table of a hundred items as in an empty one."""
    for number in range(100):
        dynamodb.put_item(TableName=table, Item=key(f"other {number}", table))
    copies: list[object] = []
    copied = Item.__deepcopy__

    def counted(item: Item, memo: dict[int, Any]) -> Item:
        copies.append(item)
        return copied(item, memo)

    monkeypatch.setattr(Item, "__deepcopy__", counted)
    dynamodb.transact_write_items(TransactItems=[prepend(table, "1"), prepend(table, "2")])
    assert len(copies) < 10
