"""Conditions and updates of the local stack's moto: each text is parsed once, with the values of each call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.comparisons import ConditionExpressionParser

from infra.local import moto_expressions


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client of moto with the table `plain`."""
    moto_expressions.install()
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        client.create_table(
            TableName="plain",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield client


def put(dynamodb: Any, **attributes: Any) -> None:
    dynamodb.put_item(TableName="plain", Item={"id": {"S": "a"}, **attributes})


def update(dynamodb: Any, text: str, **options: Any) -> dict[str, Any]:
    """Update the item; return all of its attributes."""
    answer = dynamodb.update_item(
        TableName="plain",
        Key={"id": {"S": "a"}},
        UpdateExpression=text,
        ReturnValues="ALL_NEW",
        **options,
    )
    return dict(answer["Attributes"])


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def test_each_call_has_its_own_values(dynamodb: Any) -> None:
    """One text of a condition and of an update, with other values and names each time."""
    put(dynamodb, n=number(1), m=number(10))
    for name, held, added in (("n", 1, 5), ("n", 6, 1), ("m", 10, 2)):
        after = update(
            dynamodb,
            "SET #a = #a + :added, seen = list_append(if_not_exists(seen, :none), :one)",
            ConditionExpression="#a BETWEEN :held AND :held AND size(id) = :size OR #a IN (:added)",
            ExpressionAttributeNames={"#a": name},
            ExpressionAttributeValues={
                ":added": number(added),
                ":held": number(held),
                ":size": number(1),
                ":none": {"L": []},
                ":one": {"L": [number(added)]},
            },
        )
        assert after[name] == number(held + added)
    assert [each["N"] for each in after["seen"]["L"]] == ["5", "1", "2"]
    assert (after["n"], after["m"]) == (number(7), number(12))


def test_a_text_that_was_accepted_may_be_refused(dynamodb: Any) -> None:
    """For its values: those of another type, those that are missing, and those that no text names."""
    put(dynamodb, n=number(1))
    text = "ADD #a :by"
    names = {"#a": "n"}
    assert update(
        dynamodb,
        text,
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={":by": number(1)},
    )["n"] == number(2)
    for values in (
        {":by": {"S": "1"}},
        {":other": number(1)},
        {":by": number(1), ":no": number(2)},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            update(dynamodb, text, ExpressionAttributeNames=names, ExpressionAttributeValues=values)
    with pytest.raises(ClientError, match="unused in expressions"):
        update(
            dynamodb,
            text,
            ExpressionAttributeNames={**names, "#b": "m"},
            ExpressionAttributeValues={":by": number(1)},
        )
    assert dynamodb.get_item(TableName="plain", Key={"id": {"S": "a"}})["Item"]["n"] == number(2)


@pytest.mark.parametrize(
    "text", ["((n = :one))", "n = :one AND", "status = :one", "SET", "no_function(n)"]
)
def test_an_invalid_condition_is_refused_each_time(dynamodb: Any, text: str) -> None:
    """Redundant parentheses, half a condition, a reserved word, an unknown function."""
    put(dynamodb, n=number(1))
    for _ in range(2):
        with pytest.raises((ClientError, ValueError, KeyError, IndexError)):
            update(
                dynamodb,
                "SET m = :one",
                ConditionExpression=text,
                ExpressionAttributeValues={":one": number(1)},
            )
        assert "m" not in dynamodb.get_item(TableName="plain", Key={"id": {"S": "a"}})["Item"]


def test_an_update_that_is_no_update_is_refused_each_time(dynamodb: Any) -> None:
    """It is not kept."""
    put(dynamodb)
    for _ in range(2):
        with pytest.raises(ClientError, match="Invalid UpdateExpression"):
            update(dynamodb, "SET n =")


def test_a_text_is_parsed_once(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its values."""
    split: list[str] = []
    lexed = ConditionExpressionParser._lex_condition_expression

    def count(parser: ConditionExpressionParser) -> Any:
        split.append(str(parser.condition_expression))
        return lexed(parser)

    monkeypatch.setattr(ConditionExpressionParser, "_lex_condition_expression", count)
    put(dynamodb, n=number(1))
    for value in range(1, 4):
        update(
            dynamodb,
            "SET n = :next",
            ConditionExpression="n = :parsed_once",
            ExpressionAttributeValues={":parsed_once": number(value), ":next": number(value + 1)},
        )
    assert split == ["n = :parsed_once"]


def test_an_item_that_is_too_large_is_refused(dynamodb: Any) -> None:
    """By the sum of its attributes."""
    half = {"S": "x" * 202_000}
    put(dynamodb, one=half)
    with pytest.raises(ClientError, match="Item size"):
        put(dynamodb, one=half, two=half, three=half)
