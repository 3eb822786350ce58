"""Let moto parse each text of a condition or an update once in a process, and copy less.

The service sends a few dozen texts with different values. moto parses a condition's text twice for each call,
by patterns that it compiles again for each word, and an update's text two or three times; it copies what it
has parsed node by node, and has ten visitors ask each node for its class. It adds up an item's attributes
after each of them, and looks for a value's attribute by up to eight names for each of the nine types that
the value is not of.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Any

from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing import ast_nodes
from moto.dynamodb.parsing.expressions import (  # type: ignore[attr-defined]
    UpdateExpressionParser,
)

_Conditions: Any = ConditionExpressionParser
_parse_condition = _Conditions.parse
_operand = _Conditions._make_operand


class _Tree(ConditionExpressionParser):
    """Parses a condition up to its tree, in which each value is a placeholder."""

    def __init__(self, text: str, names: dict[str, str]) -> None:
        super().__init__(text, names, defaultdict(dict))

    def _make_op_condition(self, node: Any) -> Any:
        return node


@functools.lru_cache(maxsize=1_000)
def _tree(text: str, names: tuple[tuple[str, str], ...]) -> tuple[Any, list[str], list[str]]:
    parser = _Tree(text, dict(names))
    root = _parse_condition(parser)
    return root, parser.expr_attr_names_found, parser.expr_attr_values_found


def _condition(parser: ConditionExpressionParser) -> Any:
    text, names = parser.condition_expression, parser.expression_attribute_names
    if not text:
        return _parse_condition(parser)
    root, names_found, values_found = _tree(text, tuple((names or {}).items()))
    parser.expr_attr_names_found += names_found
    parser.expr_attr_values_found += values_found
    return parser._make_op_condition(root)


def _operand_with_value(parser: ConditionExpressionParser, node: Any) -> Any:
    if node.kind == parser.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        return AttributeValue(parser._lookup_expression_attribute_value(node.text))
    return _operand(parser, node)


_parse_update = UpdateExpressionParser.make


_nodes: Any = ast_nodes


class _Update:
    """An update's parsed text, which moto searches, and of which its validators take copies."""

    def __init__(self, text: str) -> None:
        self._root: Any = _parse_update(text)
        self._found: dict[tuple[type, ...], list[Any]] = {}

    def find_clauses(self, kinds: list[type]) -> list[Any]:
        key = tuple(kinds)
        if key not in self._found:
            self._found[key] = self._root.find_clauses(kinds)
        return self._found[key]

    def __deepcopy__(self, _: dict[int, Any]) -> Any:
        return _copied(self._root, None)


def _copied(node: Any, parent: Any) -> Any:
    if not isinstance(node, _nodes.Node):
        return node
    made = object.__new__(type(node))
    vars(made).update(vars(node), parent=parent)
    if node.children is not None:
        made.children = [_copied(child, made) for child in node.children]
    return made


@functools.lru_cache(maxsize=1_000)
def _update(text: str) -> _Update:
    return _Update(text)


@functools.cache
def _has_clauses(node: Any) -> bool:
    return issubclass(node, (_nodes.Expression, _nodes.UpdateExpressionFunction))


def _clauses(node: Any, kinds: list[type]) -> list[Any]:
    found = []
    for child in node.children or ():
        kind: Any = type(child)
        if kind in kinds:
            found.append(child)
        elif _has_clauses(kind):
            found += _clauses(child, kinds)
    return found


@functools.cache
def _method(visitor: Any, node: Any) -> str | None:
    """Return the name of the method by which such a visitor processes such a node."""
    methods = visitor.__new__(visitor)._processing_map().items()
    return next((method.__name__ for kind, method in methods if issubclass(node, kind)), None)


def _traverse(visitor: Any, node: Any, child_id: int = -1) -> Any:
    if not isinstance(node, _nodes.Node):
        return node
    parent = node.parent
    for index, child in enumerate(node.children or ()):
        visitor.pre_processing_of_child(node, index)
        _traverse(visitor, child, index)
    kinds: Any = (type(visitor), type(node))
    method = _method(*kinds)
    if method is not None:
        node = getattr(visitor, method)(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


_LARGEST = 405_000
"""Of the items that moto allows, in bytes."""


def _made(item: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: Any) -> None:
    item.hash_key, item.range_key = hash_key, range_key
    item.attrs = LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(item.attrs, name, DynamoType(value))
    if item.size() > _LARGEST:
        raise ItemSizeTooLarge


_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})
_pick = AttributePicker.__call__


def _picked(picker: AttributePicker, context: AttributePickerContext) -> Any:
    value = context.obj
    if type(value) is dict and context.key in _TYPES and value.keys() <= _TYPES:
        return value.get(context.key)
    return _pick(picker, context)


def install() -> None:
    """Change moto in this process; doing it again changes nothing."""
    _Conditions.parse = _condition
    _Conditions._make_operand = _operand_with_value
    UpdateExpressionParser.make = _update
    _nodes.DepthFirstTraverser.traverse_node_recursively = _traverse
    _nodes.Node.find_clauses = _clauses
    Item.__init__ = _made  # type: ignore[assignment, method-assign]
    AttributePicker.__call__ = _picked  # type: ignore[assignment,method-assign]
