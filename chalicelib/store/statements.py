"""Expressions that are rendered once and filled in for each call.

pynamodb walks an expression's tree for each call, and building the tree takes as long again: a fifth
of the processor time of a recovery (docs/speed.md), though nothing of it changes but the values. A
statement is pynamodb's own expression with `Given`s in the places of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from types import CodeType
from typing import Any, Generic, TypeVar

from pynamodb.constants import NUMBER, STRING, STRING_SET
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Value
from pynamodb.expressions.update import Action, Update
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

Request = dict[str, Any]
"""A part of a request in the wire's own form."""

Fill = Callable[[dict[str, Any]], Any]


M = TypeVar("M", bound=Model)


def hash_key(model: type[Model]) -> str:
    """The name of a table's hash key."""
    return str(model._hash_keyname)


class Given(Value):
    """The place of a value that each call brings under this name.

    It stands where pynamodb takes a value. A number may be moved: `NOW - 60`.
    """

    def __init__(self, kind: str, name: str, fill: Fill | None = None) -> None:
        """`kind` is DynamoDB's type of the value, `S`, `N` or `SS`."""
        super().__init__({kind: self})
        self._kind = kind
        self._name = name
        self._fill = fill or (lambda values: values[name])

    def __add__(self, number: int) -> Given:
        return Given(NUMBER, self._name, lambda values: self._fill(values) + number)

    def __sub__(self, number: int) -> Given:
        return self + -number

    def in_list(self) -> Value:
        """A list of this value alone."""
        return Value({"L": [{self._kind: self}]})

    def wire(self, values: dict[str, Any]) -> Any:
        """The call's value as DynamoDB takes it. Raises KeyError."""
        value = self._fill(values)
        if self._kind == NUMBER:
            return str(value)
        return sorted(value) if self._kind == STRING_SET else value


# Any, since pynamodb's annotations know values and no places of them.


def text(name: str) -> Any:
    """The place of a text."""
    return Given(STRING, name)


def texts(name: str) -> Any:
    """The place of a set of texts."""
    return Given(STRING_SET, name)


def number(name: str) -> Any:
    """The place of a whole number."""
    return Given(NUMBER, name)


NOW = number("now")
"""The time of the call, epoch seconds."""


class Statement(Generic[M]):
    """An update, a check, or both, of one item of a table, whatever its key and values are."""

    def __init__(
        self, model: type[M], actions: Sequence[Action] = (), condition: Condition | None = None
    ) -> None:
        """Without actions it is a check, without a condition it is always done.

        The refusal of an update brings the item as it stands.
        """
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        self._fixed: Request = {}
        if actions:
            self._fixed["UpdateExpression"] = Update(*actions).serialize(names, values)
            self._fixed["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if condition is not None:
            self._fixed["ConditionExpression"] = condition.serialize(names, values)
        self._fixed["ExpressionAttributeNames"] = {by: name for name, by in names.items()}
        self._constant = {by: value for by, value in values.items() if not _has_place(value)}
        self._places = [(by, value) for by, value in values.items() if _has_place(value)]
        self.model = model

    def request(self, key: str, values: dict[str, Any]) -> Request:
        """The request for the item of this key with these values. Raises KeyError where one is missing."""
        request = {
            "TableName": self.model.Meta.table_name,
            "Key": {hash_key(self.model): {"S": key}},
            **self._fixed,
        }
        filled = {by: _filled(place, values) for by, place in self._places}
        if filled or self._constant:
            request["ExpressionAttributeValues"] = {**self._constant, **filled}
        return request


def _has_place(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_place, value.values()))
    return isinstance(value, Given) or (isinstance(value, list) and any(map(_has_place, value)))


def _filled(place: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A value in the wire's form: of one type, and its content; of a list the one entry."""
    ((kind, content),) = place.items()
    if isinstance(content, Given):
        return {kind: content.wire(values)}
    return {kind: [_filled(entry, values) for entry in content]}


class Statements:
    """The statements of one object, each rendered when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[tuple[CodeType, tuple[Hashable, ...]], Statement[Any]] = {}

    def __call__(self, make: Callable[..., Statement[M]], *variant: Hashable) -> Statement[M]:
        """What `make` makes of the variant: whatever of the expression is not a Given.

        Whether it was made before goes by the code of `make`, and not by what that has of its
        surroundings, which must be the same for all calls.
        """
        name = make.__code__, variant
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = make(*variant)
        return found


class Transaction(TransactWrite):
    """pynamodb's transaction, which takes statements as well."""

    def run(self, statement: Statement[Any], key: str, values: dict[str, Any]) -> None:
        """Add an update."""
        self._update_items.append(statement.request(key, values))

    def check(self, statement: Statement[Any], key: str, values: dict[str, Any]) -> None:
        """Add a check of an item that is not written."""
        self._condition_check_items.append(statement.request(key, values))
