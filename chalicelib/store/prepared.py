"""Update and condition expressions that are rendered once and filled in for each call.

pynamodb builds and traverses the tree of an expression for each call, though only the values
differ. A PreparedUpdate is pynamodb's own expression with a Parameter in the place of each value.
Stores create theirs in `__init__`, one for each variant of an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from pynamodb.constants import NUMBER, STRING, STRING_SET
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Value
from pynamodb.expressions.update import Action, Update
from pynamodb.models import Model

from .pynamodb_internals import Request, hash_key
from .shapes import Shaped, with_known_shape

K = TypeVar("K")
M = TypeVar("M", bound=Model)


class Parameter(Value):
    """A named value that each call supplies, usable wherever pynamodb accepts a value.

    A number may be shifted by a constant: `now_param - 60`.
    """

    def __init__(
        self, kind: str, name: str, fill: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        """`kind` is DynamoDB's type of the value: `S`, `N` or `SS`.

        `fill` returns the value from the call's values by name; by default the value named `name`.
        """
        super().__init__({kind: self})
        self._kind = kind
        self._name = name
        self._fill = fill or (lambda values: values[name])

    def __add__(self, number: int) -> Parameter:
        return Parameter(NUMBER, self._name, lambda values: self._fill(values) + number)

    def __sub__(self, number: int) -> Parameter:
        return self + -number

    def in_list(self) -> Value:
        """Return a list operand with this value as its one entry."""
        return Value({"L": [{self._kind: self}]})

    def wire(self, values: dict[str, Any]) -> Any:
        """Return the call's value in DynamoDB's JSON form. Raises KeyError if it is missing."""
        value = self._fill(values)
        if self._kind == NUMBER:
            return str(value)
        return sorted(value) if self._kind == STRING_SET else value


# The return type is Any, since pynamodb's annotations accept plain values only.


def text(name: str) -> Any:
    """Return a parameter for a string."""
    return Parameter(STRING, name)


def texts(name: str) -> Any:
    """Return a parameter for a set of strings."""
    return Parameter(STRING_SET, name)


def number(name: str) -> Any:
    """Return a parameter for an integer."""
    return Parameter(NUMBER, name)


now_param = number("now")
"""The time of the call, epoch seconds."""

# No attribute's name begins with it.
_NAME = "\0"


def name(of: str) -> str:
    """Return an element of a document path whose name each call supplies as the value `of`.

    `CodeItem.tries[name("requester")]` addresses one entry of a map.
    """
    return _NAME + of


class PreparedUpdate(Generic[M]):
    """An update, a condition check, or both, of one item of a table, for any key and values."""

    def __init__(
        self, model: type[M], actions: Sequence[Action] = (), condition: Condition | None = None
    ) -> None:
        """Render the expressions: without actions as a condition check, else as an update.

        If the condition of an update fails, DynamoDB returns the current item.
        """
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        self._fixed: Request = {}
        if actions:
            self._fixed["UpdateExpression"] = Update(*actions).serialize(names, values)
            self._fixed["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        elif issubclass(model, Shaped):
            # So that an item of a newer shape is told apart from a failed check.
            self._fixed["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        condition = with_known_shape(model, condition)
        if condition is not None:
            self._fixed["ConditionExpression"] = condition.serialize(names, values)
        self._fixed["ExpressionAttributeNames"] = {
            by: path for path, by in names.items() if not path.startswith(_NAME)
        }
        self._names = [
            (by, path.removeprefix(_NAME)) for path, by in names.items() if path.startswith(_NAME)
        ]
        self._constants = {by: value for by, value in values.items() if not _has_parameter(value)}
        self._parameters = [(by, value) for by, value in values.items() if _has_parameter(value)]
        self.model = model

    def request(self, key: str, values: dict[str, Any]) -> Request:
        """Return the request for the item with this key. Raises KeyError if a value is missing."""
        request = {
            "TableName": self.model.Meta.table_name,
            "Key": {hash_key(self.model): {"S": key}},
            **self._fixed,
        }
        if self._names:
            given = {by: values[of] for by, of in self._names}
            request["ExpressionAttributeNames"] = {**request["ExpressionAttributeNames"], **given}
        filled = {by: _filled(template, values) for by, template in self._parameters}
        if filled or self._constants:
            request["ExpressionAttributeValues"] = {**self._constants, **filled}
        return request


class Variants(dict[K, PreparedUpdate[M]]):
    """Prepared updates by the properties of each variant, rendered at its first use."""

    def __init__(self, render: Callable[[K], PreparedUpdate[M]]) -> None:
        """`render` returns the update of the variant with these properties."""
        super().__init__()
        self._render = render

    def __missing__(self, properties: K) -> PreparedUpdate[M]:
        update = self[properties] = self._render(properties)
        return update


def _has_parameter(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_parameter, value.values()))
    if isinstance(value, list):
        return any(map(_has_parameter, value))
    return isinstance(value, Parameter)


def _filled(template: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return an attribute value in DynamoDB's JSON form, with the call's values filled in."""
    ((kind, content),) = template.items()
    if isinstance(content, Parameter):
        return {kind: content.wire(values)}
    return {kind: [_filled(entry, values) for entry in content]}
