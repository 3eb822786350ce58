"""Conditional writes and transactions, with every failure of DynamoDB told apart once."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import ListAttribute
from pynamodb.exceptions import (
    DoesNotExist,
    PynamoDBException,
    TransactWriteError,
    VerboseClientError,
)
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from ..domain.errors import Unavailable
from ..domain.limits import Window
from .statements import Given, Request, Statement, Transaction, hash_key

# On DEBUG pynamodb logs the arguments of each call, phones and hashes among them.
logging.getLogger("pynamodb").setLevel(logging.INFO)

M = TypeVar("M", bound=Model)
T = TypeVar("T")

# A conflict means that another transaction holds the item for some milliseconds.
_CONFLICT_TRIES = 8
_CONFLICT_PAUSE = 0.02

# The most keys of one BatchGetItem.
_BATCH = 100


class Refused(Exception):
    """A condition did not hold.

    `items` has, for each write in order, the item that stood in the way as DynamoDB returned it
    (ALL_OLD), or None where that write's own condition held or the item did not exist;
    `failed` tells which writes' conditions did not hold.
    """

    def __init__(self, items: Sequence[dict[str, Any] | None], failed: Sequence[bool]) -> None:
        super().__init__("condition not met")
        self.items = tuple(items)
        self.failed = tuple(failed)


def guarded(call: Callable[[], T]) -> T:
    """Run a pynamodb or botocore call; whatever keeps it from an answer becomes Unavailable."""
    try:
        return call()
    except (PynamoDBException, BotoCoreError, ClientError) as error:
        raise Unavailable("store") from error


def read(
    model: type[M], key: str, range_key: str | None = None, *, consistent: bool = True
) -> M | None:
    """One GetItem; None where there is no such item."""
    try:
        return model.get(key, range_key, consistent_read=consistent)
    except DoesNotExist:
        return None
    except (PynamoDBException, BotoCoreError) as error:
        raise Unavailable("store") from error


def read_together(
    keys: Sequence[tuple[type[Model], str]],
) -> dict[tuple[type[Model], str], Model]:
    """Items of several tables by consistent reads: one BatchGetItem for each hundred keys.

    A table is read by one model alone. Items that there are not are left out.
    """
    found: dict[tuple[type[Model], str], Model] = {}
    for start in range(0, len(keys), _BATCH):
        found.update(_batch(keys[start : start + _BATCH]))
    return found


def _batch(
    keys: Sequence[tuple[type[Model], str]],
) -> dict[tuple[type[Model], str], Model]:
    models = {model.Meta.table_name: model for model, _ in keys}
    wanted: dict[str, Any] = {
        table: {
            "Keys": [{hash_key(model): {"S": key}} for of_model, key in keys if of_model is model],
            "ConsistentRead": True,
        }
        for table, model in models.items()
    }
    connection = keys[0][0]._get_connection().connection
    found: dict[tuple[type[Model], str], Model] = {}
    for _ in range(_CONFLICT_TRIES):
        request = {"RequestItems": wanted}
        answer = guarded(lambda request=request: connection.dispatch("BatchGetItem", request))  # type: ignore[misc]
        for table, items in answer["Responses"].items():
            model = models[table]
            for item in items:
                key = item[hash_key(model)]["S"]
                found[model, key] = model.from_raw_data(item)
        # DynamoDB may leave some for later, where it is busy.
        wanted = answer.get("UnprocessedKeys") or {}
        if not wanted:
            return found
        _pause()
    raise Unavailable("store")


def update(
    item: M,
    actions: Sequence[Action],
    condition: Condition,
    is_done: Callable[[M], bool] = lambda _: False,
) -> M:
    """One conditional UpdateItem; returns the item as it is afterwards (ALL_NEW).

    `is_done` says of an item whether these very actions seem to have been done to it. The client
    asks again by itself where an answer was lost, and DynamoDB knows a repeat of a transaction, but
    none of an update: what the lost attempt wrote may then stand in the way of the second one. Only
    the refusal of a repeat is held against it. Not for counts of guesses, which had better be
    counted twice than once too little.

    Raises Refused with the item as it was, Unavailable where DynamoDB does not answer.
    """
    request = item.get_update_kwargs_from_instance(
        actions=list(actions), condition=condition, return_values_on_condition_failure="ALL_OLD"
    )
    return _updated(type(item), request, is_done)


def run(
    statement: Statement[M],
    key: str,
    values: dict[str, Any],
    is_done: Callable[[M], bool] = lambda _: False,
) -> M:
    """The same as a statement, of the item with this key."""
    return _updated(statement.model, statement.request(key, values), is_done)


def _updated(model: type[M], request: Request, is_done: Callable[[M], bool]) -> M:
    request["ReturnValues"] = "ALL_NEW"
    connection = model._get_connection().connection
    for tries_left in reversed(range(_CONFLICT_TRIES)):
        try:
            answer = connection.dispatch("UpdateItem", request)
            break
        except VerboseClientError as error:
            code = error.response["Error"].get("Code")
            if code == "ConditionalCheckFailedException":
                response = getattr(error.__cause__, "response", {})
                stood = response.get("Item")
                if stood and response.get("ResponseMetadata", {}).get("RetryAttempts"):
                    found = model.from_raw_data(stood)
                    if is_done(found):
                        return found
                raise Refused([stood], [True]) from None
            if code != "TransactionConflictException" or not tries_left:
                raise Unavailable("store") from error
            _pause()
        except (PynamoDBException, BotoCoreError) as error:
            raise Unavailable("store") from error
    return model.from_raw_data(answer["Attributes"])


def transact(build: Callable[[Transaction], None], model: type[Model]) -> None:
    """One TransactWriteItems of what `build` adds; `model` lends its connection.

    botocore gives each call a client request token, so that its own repeat after a lost answer
    writes nothing twice. Raises Refused, with the items in the order in which pynamodb sends them:
    condition checks, deletes, puts, updates; Unavailable otherwise.
    """
    connection = model._get_connection().connection
    for tries_left in reversed(range(_CONFLICT_TRIES)):
        try:
            with Transaction(connection=connection) as transaction:
                build(transaction)
            return
        except TransactWriteError as error:
            reasons = error.cancellation_reasons
            codes = [reason.code if reason else None for reason in reasons]
            if "ConditionalCheckFailed" in codes:
                raise Refused(
                    [reason.raw_item if reason else None for reason in reasons],
                    [code == "ConditionalCheckFailed" for code in codes],
                ) from None
            conflict = "TransactionConflict" in codes
            if not conflict or not tries_left:
                raise Unavailable("store") from error
            _pause()
        except (PynamoDBException, BotoCoreError, ClientError) as error:
            raise Unavailable("store") from error


def _pause() -> None:
    time.sleep(_CONFLICT_PAUSE * (0.5 + random.random()))  # noqa: S311  # nosec B311


def room(events: ListAttribute[int], windows: Sequence[Window], now: int | Given) -> Condition:
    """The condition that one more event fits into every window of a newest-first list."""
    condition: Condition | None = None
    for window in windows:
        oldest = events[window.limit - 1]
        # A comparison with a missing entry is false in DynamoDB, so absence is asked for as well.
        fits = oldest.does_not_exist() | (oldest <= now - window.seconds)
        condition = fits if condition is None else condition & fits
    if condition is None:
        raise ValueError("at least one window is needed")
    return condition


def noted(events: ListAttribute[Any], entry: int | str | Given) -> Action:
    """The action that puts an entry at the front of a list, which it makes where there is none.

    Such a list grows only by what its limits let through, and vanishes with its item.
    """
    entries = entry.in_list() if isinstance(entry, Given) else [entry]
    return events.set((events | []).prepend(entries))


def raw_list(item: dict[str, Any] | None, name: str) -> list[int]:
    """A newest-first list of epoch seconds out of an item that DynamoDB returned."""
    if item is None or name not in item:
        return []
    return [int(entry["N"]) for entry in item[name]["L"]]


def raw_text(item: dict[str, Any] | None, name: str) -> str | None:
    """A text attribute out of an item that DynamoDB returned."""
    return None if item is None or name not in item else item[name].get("S")


def raw_number(item: dict[str, Any] | None, name: str) -> int | None:
    """A number attribute out of an item that DynamoDB returned."""
    return None if item is None or name not in item else int(item[name]["N"])
