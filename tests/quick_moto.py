"""moto, without the half of its work that changes nothing in what it answers.

For each answer of DynamoDB moto looks for ten possible types of each attribute, in three spellings
each. It reads each expression anew, three times and word by word, and walks it once for each of ten
checks, by way of abstract classes.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

import moto.core.responses
import pytest
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moto answer the same in less time."""
    names = functools.cache(moto.core.responses.method_names_from_class)
    monkeypatch.setattr(moto.core.responses, "method_names_from_class", names)
    structure = _as_it_stands(BaseJSONSerializer._serialize_type_structure)
    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_structure", structure)
    monkeypatch.setattr(DepthFirstTraverser, "traverse_node_recursively", _traverse)
    monkeypatch.setattr(UpdateExpressionParser, "make", _read_once(UpdateExpressionParser.make))
    monkeypatch.setattr(ActionCountValidator, "traverse", lambda _, node: node)
    words = _words_once(ConditionExpressionParser._lex_condition_expression)
    monkeypatch.setattr(ConditionExpressionParser, "_lex_condition_expression", words)


def _as_it_stands(serialize: Callable[..., None]) -> Callable[..., None]:
    """An attribute is stored in the wire's own form, but for bytes, which no table of ours has."""

    def quick(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and type(value) is dict:
            self._default_serialize(serialized, value, shape, key)
        else:
            serialize(self, serialized, value, shape, key)

    return quick


def _read_once(make: Callable[[str], Node]) -> Callable[[str], Node]:
    """An expression's tree, of which moto makes a copy before it changes anything in it.

    How many clauses there are of each kind is seen to here, since it takes as long as all the rest.
    """
    counted, traverse = ActionCountValidator(), ActionCountValidator.traverse

    @functools.cache
    def read(expression: str) -> Node:
        return traverse(counted, make(expression))

    return read


def _words_once(words: Callable[[Any], deque[Any]]) -> Callable[[Any], deque[Any]]:
    """A condition's words; the parser uses its own copy of the queue up."""
    known: dict[str | None, tuple[Any, ...]] = {}

    def quick(self: ConditionExpressionParser) -> deque[Any]:
        expression = self.condition_expression
        if expression not in known:
            known[expression] = tuple(words(self))
        return deque(known[expression])

    return quick


@functools.cache
def _is_processed(kind: type, processed: tuple[type, ...]) -> bool:
    return issubclass(kind, processed)


def _traverse(self: Any, node: Any, child_id: int = -1, processed: Any = None) -> Any:
    """moto's own walk, which asks for what is processed once and not at each node."""
    kind = type(node)
    if not _is_processed(kind, (Node,)):
        return node
    if processed is None:
        processed = self.nodes_to_be_processed()
    parent = node.parent
    for number, child in enumerate(node.children or ()):
        self.pre_processing_of_child(node, number)
        _traverse(self, child, number, processed)
    if _is_processed(kind, processed):
        node = self.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node
