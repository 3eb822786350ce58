"""Reads, conditional writes and transactions, with DynamoDB's failures translated in one place."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from .prepared import Parameter, PreparedUpdate
from .pynamodb_internals import Request, Transaction, connection_of, hash_key

# On DEBUG pynamodb logs the arguments of each call, phones and hashes among them.
logging.getLogger("pynamodb").setLevel(logging.INFO)

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

# What DynamoDB refuses for a moment is repeated with a pause that doubles, from the time for which
# another transaction holds an item up to half a second: 1.6 s of pauses in all at the most.
_ATTEMPTS = 8
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

# No further attempt begins later than so many seconds after the first one: a person waits for 10 s.
_LAST_ATTEMPT = 3

# The most keys of one BatchGetItem.
_BATCH = 100

# CancellationReasons' codes (API reference, TransactWriteItems) that pass by themselves.
_PASSING_REASONS = frozenset(
    {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
    }
)


class ConditionFailed(Exception):
    """A condition of a write did not hold.

    `items` has, for each write in order, the item that failed the condition as DynamoDB returned it
    (ALL_OLD), or None where that write's own condition held or the item did not exist;
    `failed` has, for each write, whether its condition failed.
    """

    def __init__(self, items: Sequence[dict[str, Any] | None], failed: Sequence[bool]) -> None:
        super().__init__("condition not met")
        self.items = tuple(items)
        self.failed = tuple(failed)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise Unavailable for every failure of the calls to pynamodb within the block."""
    try:
        yield
    except (PynamoDBException, BotoCoreError, ClientError) as error:
        raise Unavailable("store") from error
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        # botocore raises these where an answer is JSON of another shape than the service's model;
        # ValueError where the endpoint is no URL; OSError where the process that gives credentials
        # cannot be started. pynamodb raises them where an item has another shape than its model.
        log.error("the client of the store failed: %s", type(error).__name__)
        raise Unavailable("store") from error


def _attempts() -> Iterator[None]:
    """Yield once for each attempt, after a pause from the second on, until no other may follow."""
    begun = time.monotonic()
    yield
    for number in range(_ATTEMPTS - 1):
        pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
        pause *= 0.5 + random.random() / 2  # noqa: S311  # nosec B311
        if time.monotonic() + pause - begun > _LAST_ATTEMPT:
            return
        time.sleep(pause)
        yield


def read(
    model: type[M], key: str, range_key: str | None = None, *, consistent: bool = True
) -> M | None:
    """Return an item by one GetItem, or None where it does not exist. Raises Unavailable."""
    with translate_errors():
        try:
            return model.get(key, range_key, consistent_read=consistent)
        except DoesNotExist:
            return None


def read_together(
    keys: Sequence[tuple[type[Model], str]],
) -> dict[tuple[type[Model], str], Model]:
    """Return the items that exist, by consistent reads: one BatchGetItem for each hundred keys.

    Each table is read by one model only. Raises Unavailable.
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
    connection = connection_of(keys[0][0])
    found: dict[tuple[type[Model], str], Model] = {}
    for _ in _attempts():
        with translate_errors():
            answer = connection.dispatch("BatchGetItem", {"RequestItems": wanted})
            for table, items in answer["Responses"].items():
                model = models[table]
                for item in items:
                    found[model, item[hash_key(model)]["S"]] = model.from_raw_data(item)
            # DynamoDB leaves keys unprocessed where it is busy or the answer would be too large.
            wanted = answer.get("UnprocessedKeys") or {}
        if not wanted:
            return found
    raise Unavailable("store")


def update(
    item: M,
    actions: Sequence[Action],
    condition: Condition | None = None,
    is_done: Callable[[M], bool] = lambda _: False,
) -> M:
    """Send one UpdateItem and return the item as it is afterwards (ALL_NEW).

    `is_done` returns whether an item looks as if these very actions had been applied to it. The
    client repeats a request whose answer was lost. DynamoDB recognises the repeat of a transaction,
    but not of an update, so that what the lost attempt wrote may fail the condition of the repeat.
    `is_done` is consulted for repeats only. Not for counts of guesses, which are better counted
    twice than not at all.

    Raises ConditionFailed with the item as it was, Unavailable where DynamoDB does not answer.
    """
    request = item.get_update_kwargs_from_instance(
        actions=list(actions), condition=condition, return_values_on_condition_failure="ALL_OLD"
    )
    return _send_update(type(item), request, is_done)


def run(
    prepared: PreparedUpdate[M],
    key: str,
    values: dict[str, Any],
    is_done: Callable[[M], bool] = lambda _: False,
) -> M:
    """Send a prepared update of the item with this key; otherwise as `update`."""
    return _send_update(prepared.model, prepared.request(key, values), is_done)


def _send_update(model: type[M], request: Request, is_done: Callable[[M], bool]) -> M:
    request["ReturnValues"] = "ALL_NEW"
    connection = connection_of(model)
    repeated = False
    failure: Exception | None = None
    for _ in _attempts():
        with translate_errors():
            try:
                answer = connection.dispatch("UpdateItem", request)
            except VerboseClientError as error:
                # pynamodb's exception leaves out the item and the metadata; its cause has them.
                response = getattr(error.__cause__, "response", {})
                repeated = repeated or bool(
                    response.get("ResponseMetadata", {}).get("RetryAttempts")
                )
                code = error.response["Error"].get("Code")
                if code == "ConditionalCheckFailedException":
                    item = response.get("Item")
                    if item and repeated:
                        found = model.from_raw_data(item)
                        if is_done(found):
                            return found
                    raise ConditionFailed([item], [True]) from None
                if code != "TransactionConflictException":
                    raise
                failure = error
                continue
            return model.from_raw_data(answer["Attributes"])
    raise Unavailable("store") from failure


def transact(build: Callable[[Transaction], None], model: type[Model]) -> None:
    """Send one TransactWriteItems with what `build` adds, over the connection of `model`.

    Every repeat has the same client request token, so that DynamoDB writes nothing twice where the
    answer to an earlier attempt was lost. Raises ConditionFailed, with the items in the order in
    which pynamodb sends them (condition checks, deletes, puts, updates), Unavailable otherwise.
    """
    transaction = Transaction(
        connection=connection_of(model), client_request_token=str(uuid.uuid4())
    )
    build(transaction)
    failure: Exception | None = None
    for _ in _attempts():
        with translate_errors():
            try:
                transaction.send()
                return
            except TransactWriteError as error:
                reasons = error.cancellation_reasons
                codes = [reason.code if reason else None for reason in reasons]
                if "ConditionalCheckFailed" in codes:
                    raise ConditionFailed(
                        [reason.raw_item if reason else None for reason in reasons],
                        [code == "ConditionalCheckFailed" for code in codes],
                    ) from None
                if not _passes(error.cause_response_code, codes):
                    raise
                failure = error
    raise Unavailable("store") from failure


def _passes(code: str | None, reasons: Sequence[str | None]) -> bool:
    """Return whether a transaction that failed like this may succeed when it is sent again."""
    if code == "TransactionInProgressException":
        return True
    met = {reason for reason in reasons if reason is not None}
    return bool(met) and met <= _PASSING_REASONS


def within_limits(
    events: ListAttribute[int], windows: Sequence[Window], now: int | Parameter
) -> Condition:
    """Return the condition that one more event fits into every window of a newest-first list."""
    condition: Condition | None = None
    for window in windows:
        oldest = events[window.limit - 1]
        # A comparison with a missing entry is false in DynamoDB, so absence is allowed explicitly.
        fits = oldest.does_not_exist() | (oldest <= now - window.seconds)
        condition = fits if condition is None else condition & fits
    if condition is None:
        raise ValueError("at least one window is needed")
    return condition


def prepend(events: ListAttribute[Any], entry: int | str | Parameter) -> Action:
    """Return the action that puts an entry at the front of a list, which it creates if needed.

    Such a list grows only by what its limits let through, and vanishes with its item.
    """
    entries = entry.in_list() if isinstance(entry, Parameter) else [entry]
    return events.set((events | []).prepend(entries))


def raw_list(item: dict[str, Any] | None, name: str) -> list[int]:
    """Return a newest-first list of epoch seconds of an item that DynamoDB returned."""
    if item is None or name not in item:
        return []
    return [int(entry["N"]) for entry in item[name]["L"]]


def raw_text(item: dict[str, Any] | None, name: str) -> str | None:
    """Return a string attribute of an item that DynamoDB returned."""
    return None if item is None or name not in item else item[name].get("S")


def raw_number(item: dict[str, Any] | None, name: str) -> int | None:
    """Return a number attribute of an item that DynamoDB returned."""
    return None if item is None or name not in item else int(item[name]["N"])
