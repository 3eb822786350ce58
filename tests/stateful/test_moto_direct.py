"""The direct calls of moto change an item as moto does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase

from tests.stateful import environment
from tests.stateful.machine import Machine
from tests.stateful.runner import run, seeds
from tests.support import moto_direct
from tests.support.dynamodb_updates import updated


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_direct_updates_equal_those_of_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update of some runs results in the same item as a request to moto."""
    updates: dict[str, tuple[Any, Any, Any]] = {}

    def record(item: Any, part: Any) -> Any:
        after = updated(item, part)
        # The last few updates of each expression.
        updates[f"{part['UpdateExpression']} {len(updates) % 5}"] = item, part, after
        return after

    monkeypatch.setattr(moto_direct, "updated", record)
    with environment.running() as Machine.environment:
        run(seeds(1), [Phase.generate])
        tables = moto_direct.backend()
        for item, part, after in updates.values():
            tables.get_table(part["TableName"]).items.clear()
            if item != part["Key"]:
                tables.put_item(part["TableName"], item)
            names, values = "ExpressionAttributeNames", "ExpressionAttributeValues"
            stored = tables.update_item(
                part["TableName"],
                part["Key"],
                part["UpdateExpression"],
                part.get(names, {}),
                part.get(values, {}),
            )
            assert _sorted(moto_direct.plain(stored.attrs)) == _sorted(after), part
    assert len({part["UpdateExpression"] for _, part, _ in updates.values()}) > 20


def _sorted(item: dict[str, Any]) -> dict[str, Any]:
    """Sort the sets of an item, which have no order."""
    return {
        name: {"SS": sorted(value["SS"])} if "SS" in value else value
        for name, value in item.items()
    }
