"""Let moto's transactions copy only the items that they change.

moto copies every table of a transaction with all its items, once for each write, to undo a transaction that
fails: an import took time with the square of its firms. Here a table's copy shares the items, and an update
replaces the item by a copy before it changes anything.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

_update_item = DynamoDBBackend.update_item


def _copied(table: Table, _: dict[int, Any]) -> Table:
    """Return a copy of a table that has the same items; puts and deletions do not show in it."""
    made = copy.copy(table)
    made.items = table.items.copy()
    if table.has_range_key:
        for key, items in table.items.items():
            made.items[key] = items.copy()
    return made


@functools.wraps(_update_item)
def _update_copy(
    backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **kwargs: Any
) -> Any:
    table = backend.get_table(table_name)
    item = backend.get_item(table_name, key)
    if item is not None:
        changed: Any = copy.deepcopy(item)
        if table.has_range_key:
            table.items[item.hash_key][item.range_key] = changed
        else:
            table.items[item.hash_key] = changed
    return _update_item(backend, table_name, key, *args, **kwargs)


def install() -> None:
    """Change moto in this process; doing it again changes nothing."""
    Table.__deepcopy__ = _copied  # type: ignore[attr-defined]
    DynamoDBBackend.update_item = _update_copy  # type: ignore[assignment, method-assign]
