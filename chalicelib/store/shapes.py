"""The version of the shape of items that live for years; `docs/architecture.md` says how a shape changes.

A release reads items of its own shape and of older ones. It neither reads nor changes an item that a
newer release has written: what it does not know of, it would lose.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from pynamodb.attributes import NumberAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

log = logging.getLogger(__name__)

ATTRIBUTE = "shape"


class NewerShape(ValueError):
    """An item has the shape of a newer release."""


class Shaped(Model):
    """Base of the models whose items have a versioned shape."""

    SHAPE: ClassVar[int] = 1
    """The newest shape that this release reads and writes."""

    shape = NumberAttribute(attr_name=ATTRIBUTE, null=True)
    """The version of the item's shape; missing for 1."""

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Any:
        """Return the item of DynamoDB's JSON form. Raises NewerShape."""
        if is_newer(cls, data):
            raise NewerShape(cls.__name__)
        return super().from_raw_data(data)


def shaped_models() -> dict[str, type[Model]]:
    """Return the models whose items have a versioned shape, by their tables."""
    return {model.Meta.table_name: model for model in Shaped.__subclasses__()}


def shape_of(item: dict[str, Any]) -> int:
    """Return the version of the shape of an item in DynamoDB's JSON form."""
    return int(item[ATTRIBUTE]["N"]) if ATTRIBUTE in item else 1


def is_newer(model: type[Model], item: dict[str, Any] | None) -> bool:
    """Return whether an item in DynamoDB's JSON form has a newer shape than this release's."""
    if item is None or not issubclass(model, Shaped) or shape_of(item) <= model.SHAPE:
        return False
    log.error("an item of %s has the shape of a newer release", model.__name__)
    return True


def with_known_shape(model: type[Model], condition: Condition | None) -> Condition | None:
    """Return the condition, and that the item has no newer shape where the model's items have one."""
    if not issubclass(model, Shaped):
        return condition
    known: Condition = Shaped.shape.does_not_exist() | (Shaped.shape <= model.SHAPE)
    return known if condition is None else condition & known
