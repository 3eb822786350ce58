"""Pytest plugin: moto splits each text of a condition into words once in a process, and copies less.

The service sends a few dozen texts with different values. moto splits the text of each call again, by
patterns that it compiles again for each word, and lists a visitor's kinds of nodes again for each node of
an update: a tenth of the calls of Python in the state machine. Both depend on their arguments alone.
For each of the nine types that a value is not of, it looks for attributes by up to eight other names.
Transactions copy only the items that they change, as in the local stack.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import Any

from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser  # type: ignore[attr-defined]

from infra.local import moto_transactions

_split = ConditionExpressionParser._lex_condition_expression


@functools.lru_cache(maxsize=1_000)
def _words(text: str) -> tuple[Any, ...]:
    return tuple(_split(ConditionExpressionParser(text, None, None)))


def _words_of(parser: ConditionExpressionParser) -> deque[Any]:
    # The parser empties the queue; the words are tuples that it does not change.
    return deque(_words(parser.condition_expression or ""))


_kinds: dict[type[DepthFirstTraverser], tuple[type, ...]] = {}


def _kinds_of(visitor: DepthFirstTraverser) -> tuple[type, ...]:
    kind = type(visitor)
    if kind not in _kinds:
        _kinds[kind] = tuple(visitor._processing_map())
    return _kinds[kind]


_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})
_pick = AttributePicker.__call__


def _picked(picker: AttributePicker, context: AttributePickerContext) -> Any:
    value = context.obj
    if type(value) is dict and context.key in _TYPES and value.keys() <= _TYPES:
        return value.get(context.key)
    return _pick(picker, context)


AttributePicker.__call__ = _picked  # type: ignore[assignment,method-assign]
ConditionExpressionParser._lex_condition_expression = _words_of  # type: ignore[assignment, method-assign]
DepthFirstTraverser.nodes_to_be_processed = _kinds_of
moto_transactions.install()
