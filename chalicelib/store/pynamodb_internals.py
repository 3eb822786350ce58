"""All use of pynamodb beyond its documented interface.

The bounds in pyproject.toml keep pynamodb at the minor version that this module was checked with;
tests/unit/test_private_apis.py lists each private attribute with that version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from .shapes import Shaped, shaped_models, with_known_shape

Request = dict[str, Any]
"""An operation's parameters in DynamoDB's JSON form."""


def hash_key(model: type[Model]) -> str:
    """Return the name of a table's hash key."""
    # Private: Model._hash_keyname.
    return str(model._hash_keyname)


def connection_of(model: type[Model]) -> Connection:
    """Return the connection of a model."""
    # Private: Model._get_connection, which creates a TableConnection at the first call.
    return model._get_connection().connection


def share_connection(connection: Connection, models: Sequence[type[Model]]) -> None:
    """Make `connection` the connection of all these models.

    By default each model creates its own client, with its own pool and TLS handshakes.
    """
    for model in models:
        # Private: Model._connection, the TableConnection created for the table's former name;
        # Connection._tables, the key schemas by table name. Models that share a table share one.
        model._connection = None
        table = model._get_connection()
        connection._tables.update(table.connection._tables)
        table.connection = connection


class Transaction(TransactWrite):
    """A pynamodb transaction that also accepts rendered requests and is sent explicitly."""

    def update(
        self,
        model: Model,
        actions: list[Action],
        condition: Condition | None = None,
        return_values: str | None = None,
        *,
        add_version_condition: bool = True,
    ) -> None:
        """Add an update, which fails on an item of a newer shape."""
        if isinstance(model, Shaped):
            return_values = return_values or "ALL_OLD"
        super().update(
            model,
            actions,
            with_known_shape(type(model), condition),
            return_values,
            add_version_condition=add_version_condition,
        )

    def add_update(self, request: Request) -> None:
        """Add an UpdateItem request."""
        # Private: TransactWrite._update_items.
        self._update_items.append(request)

    def add_check(self, request: Request) -> None:
        """Add a ConditionCheck request."""
        # Private: TransactWrite._condition_check_items.
        self._condition_check_items.append(request)

    def models(self) -> list[type[Model]]:
        """Return the model of each write's table, in the order in which they are sent.

        Of tables whose items have no versioned shape, `Model`.
        """
        # Private: TransactWrite._delete_items, _put_items, sent after checks and before updates.
        writes = (
            *self._condition_check_items,
            *self._delete_items,
            *self._put_items,
            *self._update_items,
        )
        by_table = shaped_models()
        return [by_table.get(write["TableName"], Model) for write in writes]

    def send(self) -> None:
        """Send the transaction; it may be sent more than once."""
        # Private: TransactWrite._commit. The public interface sends once, at the end of a `with`
        # block.
        self._commit()
