"""The tables that tests make on DynamoDB Local."""

from __future__ import annotations

from pathlib import Path

import boto3

from tests.support.dynamodb_local import BRIEF, DynamoDbLocal, create_tables_without_ttl


def test_no_table_has_a_ttl(dynamodb_local: str) -> None:
    """Tests with a fixed clock would otherwise depend on the date."""
    create_tables_without_ttl(dynamodb_local, "lasting")
    client = boto3.client("dynamodb", endpoint_url=dynamodb_local)
    names = [name for name in client.list_tables()["TableNames"] if name.startswith("lasting-")]
    assert "lasting-ephemera" in names
    for name in names:
        found = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert found["TimeToLiveStatus"] == "DISABLED", name


def test_tables_outlive_a_stop(tmp_path: Path) -> None:
    """The load test stops the database in the middle and starts it again at the same address."""
    with DynamoDbLocal(tmp_path, java_options=BRIEF) as server:
        client = boto3.client("dynamodb", endpoint_url=server.url)
        create_tables_without_ttl(server.url, "stored")
        key = {"login": {"S": "11010148"}}
        client.put_item(TableName="stored-logins", Item=key)
        server.stop()
        server.start()
        assert client.get_item(TableName="stored-logins", Key=key)["Item"] == key
