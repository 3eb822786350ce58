"""The tables that tests make on DynamoDB Local."""

from __future__ import annotations

import boto3

from tests.support.dynamodb_local import create_tables_without_ttl


def test_no_table_has_a_ttl(dynamodb_local: str) -> None:
    """Tests with a fixed clock would otherwise depend on the date."""
    create_tables_without_ttl(dynamodb_local, "lasting")
    client = boto3.client("dynamodb", endpoint_url=dynamodb_local)
    names = [name for name in client.list_tables()["TableNames"] if name.startswith("lasting-")]
    assert "lasting-ephemera" in names
    for name in names:
        found = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert found["TimeToLiveStatus"] == "DISABLED", name
