"""moto, without the half of its work that changes nothing in what it answers.

For each answer of DynamoDB moto looks for ten possible types of each attribute, in three spellings
each; for each update it walks the expression once for each of ten checks, by way of abstract classes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import moto.core.responses
import pytest
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moto answer the same in less time."""
    names = functools.cache(moto.core.responses.method_names_from_class)
    monkeypatch.setattr(moto.core.responses, "method_names_from_class", names)
    structure = _as_it_stands(BaseJSONSerializer._serialize_type_structure)
    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_structure", structure)
    monkeypatch.setattr(DepthFirstTraverser, "traverse_node_recursively", _traverse)


def _as_it_stands(serialize: Callable[..., None]) -> Callable[..., None]:
    """An attribute is stored in the wire's own form, but for bytes, which no table of ours has."""

    def quick(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and type(value) is dict:
            self._default_serialize(serialized, value, shape, key)
        else:
            serialize(self, serialized, value, shape, key)

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
