"""DynamoDB at hand does to an item what moto does."""

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
def test_updates_are_moto_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update of some stories leaves the item as moto's own way leaves it."""
    seen: dict[str, tuple[Any, Any, Any]] = {}

    def noted(item: Any, part: Any) -> Any:
        after = updated(item, part)
        # Of each expression the last few, on whatever items.
        seen[f"{part['UpdateExpression']} {len(seen) % 5}"] = item, part, after
        return after

    monkeypatch.setattr(moto_direct, "updated", noted)
    with environment.running() as Machine.environment:
        run(seeds(1), [Phase.generate])
        tables = moto_direct.backend()
        for item, part, after in seen.values():
            tables.get_table(part["TableName"]).items.clear()
            if item != part["Key"]:
                tables.put_item(part["TableName"], item)
            names, values = "ExpressionAttributeNames", "ExpressionAttributeValues"
            left = tables.update_item(
                part["TableName"],
                part["Key"],
                part["UpdateExpression"],
                part.get(names, {}),
                part.get(values, {}),
            )
            assert _sorted(moto_direct.plain(left.attrs)) == _sorted(after), part
    assert len({part["UpdateExpression"] for _, part, _ in seen.values()}) > 20


def _sorted(item: dict[str, Any]) -> dict[str, Any]:
    """A set has no order."""
    return {
        name: {"SS": sorted(value["SS"])} if "SS" in value else value
        for name, value in item.items()
    }
