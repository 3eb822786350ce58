"""Attributes that several models share."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import ListAttribute, MapAttribute, NumberAttribute, UnicodeAttribute


def times() -> ListAttribute[int]:
    """Return an attribute for a list of times."""
    # pynamodb accepts any attribute class here; its annotation only allows maps.
    return ListAttribute(of=NumberAttribute, null=True)  # type: ignore[arg-type]


def texts() -> ListAttribute[str]:
    """Return an attribute for a list of texts."""
    return ListAttribute(of=UnicodeAttribute, null=True)  # type: ignore[arg-type]


def mapping() -> MapAttribute[str, Any]:
    """Return an attribute for a map with any keys."""
    # pynamodb does not annotate the constructor.
    return MapAttribute(null=True)  # type: ignore[no-untyped-call]


def plain_map(attribute: MapAttribute[str, Any] | None) -> dict[str, Any]:
    """Return an item's map attribute as a dictionary; empty if missing."""
    if attribute is None:
        return {}
    entries: dict[str, Any] = attribute.as_dict()  # type: ignore[no-untyped-call]
    return entries
