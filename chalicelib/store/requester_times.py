"""Maps from requesters to lists of times, newest first, within an item: how they stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pynamodb.attributes import MapAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

_FEW = 10
"""Requesters that an item keeps without a look at their age."""

_MOST = 500
"""Requesters that an item keeps at the most, some 20 KB; then the ones of longest ago are dropped."""

_AT_ONCE = 20
"""Requesters dropped by one update, whose expression is limited to 4 KB."""


def times_of(attribute: MapAttribute[Any, Any], requester: str) -> Path:
    """Return the path of a requester's list; `requester` may be an element of `prepared.name`."""
    return Path([attribute.attr_name, requester])


def times_by(attribute: MapAttribute[Any, Any] | None) -> dict[str, list[int]]:
    """Return a map of an item by requester; empty if it is missing."""
    if attribute is None:
        return {}
    entries: dict[str, list[int]] = attribute.attribute_values
    return {name: [int(at) for at in times] for name, times in entries.items()}


def raw_times_by(item: dict[str, Any] | None, name: str, requester: str) -> list[int]:
    """Return a requester's times in an item in DynamoDB's JSON form; empty if missing."""
    if item is None or name not in item:
        return []
    times = item[name]["M"].get(requester)
    return [] if times is None else [int(entry["N"]) for entry in times["L"]]


def dropping(
    attribute: MapAttribute[Any, Any], entries: Mapping[str, Sequence[int]], since: int
) -> tuple[list[Action], Condition | None]:
    """Return the actions that drop requesters without a time after `since`, and their condition.

    At most 20 of them, those of longest ago. The condition is that none has counted anything
    meanwhile. Without actions where the map is small. More than 500 requesters are not kept, however
    new their times are.
    """
    if len(entries) <= _FEW:
        return [], None
    oldest_first = sorted(entries, key=lambda name: max(entries[name], default=0))
    surplus = max(0, len(entries) - _MOST)
    dropped = [
        name
        for place, name in enumerate(oldest_first[:_AT_ONCE])
        if place < surplus or not entries[name] or entries[name][0] <= since
    ]
    actions: list[Action] = []
    condition: Condition | None = None
    for name in dropped:
        times = times_of(attribute, name)
        actions.append(times.remove())
        if entries[name]:
            same = times[0] == entries[name][0]
            condition = same if condition is None else condition & same
    return actions, condition
