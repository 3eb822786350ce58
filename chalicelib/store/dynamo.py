"""Reads, conditional writes and transactions; DynamoDB's failures are translated here only."""

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
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from ..domain.errors import Unavailable
from ..domain.limits import Window
from .prepared import Parameter, PreparedUpdate
from .pynamodb_internals import Request, Transaction, connection_of, hash_key
from .shapes import is_newer, with_known_shape

# At DEBUG pynamodb logs the arguments of each call, including phones and hashes.
logging.getLogger("pynamodb").setLevel(logging.INFO)

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

# Transient refusals are retried with a pause that doubles, from the time for which another
# transaction locks an item up to half a second: at most 1.6 s of pauses in total.
_ATTEMPTS = 8
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

# Seconds after the first attempt within which the last one begins: a browser waits for 10 s.
_LAST_ATTEMPT = 3

# Maximum number of keys of one BatchGetItem.
_BATCH = 100

# Codes of CancellationReasons (API reference, TransactWriteItems) that are transient.
_TRANSIENT_REASONS = frozenset(
    {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
    }
)


class ConditionFailed(Exception):
    """A condition of a write did not hold."""

    def __init__(self, items: Sequence[dict[str, Any] | None], failed: Sequence[bool]) -> None:
        """Both sequences have one entry for each write, in order.

        An entry of `items` is the item that failed the condition, in DynamoDB's JSON form
        (ALL_OLD), or None if that write's condition held or the item did not exist. An entry of
        `failed` is whether that write's condition failed.
        """
        super().__init__("condition not met")
        self.items = tuple(items)
        self.failed = tuple(failed)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise Unavailable for every failure of pynamodb or botocore within the block."""
    try:
        yield
    except (PynamoDBException, BotoCoreError, ClientError) as error:
        raise Unavailable("store") from error
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        # botocore raises these if a response is JSON of another shape than the service's model,
        # ValueError if the endpoint is not a URL, OSError if the process that supplies credentials
        # cannot be started. pynamodb raises them if an item has another shape than its model.
        log.error("the client of the store failed: %s", type(error).__name__)
        raise Unavailable("store") from error


def _attempts() -> Iterator[None]:
    """Yield once for each permitted attempt, after a pause from the second one on."""
    started = time.monotonic()
    yield
    for number in range(_ATTEMPTS - 1):
        pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
        pause *= 0.5 + random.random() / 2  # noqa: S311  # nosec B311
        if time.monotonic() + pause - started > _LAST_ATTEMPT:
            return
        time.sleep(pause)
        yield


def read(
    model: type[M], key: str, range_key: str | None = None, *, consistent: bool = True
) -> M | None:
    """Return an item by one GetItem, or None if it does not exist. Raises Unavailable."""
    with translate_errors():
        try:
            return model.get(key, range_key, consistent_read=consistent)
        except DoesNotExist:
            return None


def read_together(
    keys: Sequence[tuple[type[Model], str]],
) -> dict[tuple[type[Model], str], Model]:
    """Return items by model and hash key, by consistent reads; missing items are omitted.

    One BatchGetItem for each hundred keys. A table may occur with one model only. Raises
    Unavailable.
    """
    loaded: dict[tuple[type[Model], str], Model] = {}
    for start in range(0, len(keys), _BATCH):
        loaded.update(_batch(keys[start : start + _BATCH]))
    return loaded


def _batch(
    keys: Sequence[tuple[type[Model], str]],
) -> dict[tuple[type[Model], str], Model]:
    models = {model.Meta.table_name: model for model, _ in keys}
    requests: dict[str, Any] = {
        table: {
            "Keys": [{hash_key(model): {"S": key}} for of_model, key in keys if of_model is model],
            "ConsistentRead": True,
        }
        for table, model in models.items()
    }
    connection = connection_of(keys[0][0])
    loaded: dict[tuple[type[Model], str], Model] = {}
    for _ in _attempts():
        with translate_errors():
            answer = connection.dispatch("BatchGetItem", {"RequestItems": requests})
            for table, items in answer["Responses"].items():
                model = models[table]
                for item in items:
                    loaded[model, item[hash_key(model)]["S"]] = model.from_raw_data(item)
            # DynamoDB leaves keys unprocessed if it is busy or the response would be too large.
            requests = answer.get("UnprocessedKeys") or {}
        if not requests:
            return loaded
    raise Unavailable("store")


def update(
    item: M,
    actions: Sequence[Action],
    condition: Condition | None = None,
    is_done: Callable[[M], bool] = lambda _: False,
) -> M:
    """Send one UpdateItem and return the item after it (ALL_NEW).

    The client retries a request whose response was lost. DynamoDB detects the retry of a
    transaction, but not of an update, so the condition of the retry may fail on what the lost
    attempt wrote. `is_done` returns whether an item shows exactly these actions as applied; it is
    called for retries only. Omit it for counts of guesses, which are safer counted twice than not
    at all.

    Raises ConditionFailed with the item before the update, Unavailable if DynamoDB does not
    respond.
    """
    request = item.get_update_kwargs_from_instance(
        actions=list(actions),
        condition=with_known_shape(type(item), condition),
        return_values_on_condition_failure="ALL_OLD",
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
    retried = False
    failure: Exception | None = None
    for _ in _attempts():
        with translate_errors():
            try:
                answer = connection.dispatch("UpdateItem", request)
            except VerboseClientError as error:
                # pynamodb's exception lacks the item and the metadata; its cause has them.
                response = getattr(error.__cause__, "response", {})
                retried = retried or bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))
                code = error.response["Error"].get("Code")
                if code == "ConditionalCheckFailedException":
                    item = response.get("Item")
                    if is_newer(model, item):
                        raise Unavailable("store") from None
                    if item and retried:
                        current = model.from_raw_data(item)
                        if is_done(current):
                            return current
                    raise ConditionFailed([item], [True]) from None
                if code != "TransactionConflictException":
                    raise
                failure = error
                continue
            return model.from_raw_data(answer["Attributes"])
    raise Unavailable("store") from failure


def transact(build: Callable[[Transaction], None], model: type[Model]) -> None:
    """Send one TransactWriteItems with what `build` adds, over the connection of `model`.

    Every retry has the same client request token, so that DynamoDB writes nothing twice if the
    response to an earlier attempt was lost. Raises ConditionFailed, with the items in the order in
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
                    items = [reason.raw_item if reason else None for reason in reasons]
                    if any(map(is_newer, transaction.models(), items)):
                        raise Unavailable("store") from None
                    raise ConditionFailed(
                        items,
                        [code == "ConditionalCheckFailed" for code in codes],
                    ) from None
                if not _is_transient(_code(error), codes):
                    raise
                failure = error
    raise Unavailable("store") from failure


def _code(error: TransactWriteError) -> str | None:
    """Return DynamoDB's error code; None where a connection failed.

    botocore's errors of connections have None for their response, on which pynamodb's
    `cause_response_code` raises AttributeError.
    """
    response = getattr(error.cause, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    return None if code is None else str(code)


def _is_transient(code: str | None, reasons: Sequence[str | None]) -> bool:
    """Return whether a transaction that failed with these codes may succeed on a retry."""
    if code == "TransactionInProgressException":
        return True
    codes = {reason for reason in reasons if reason is not None}
    return bool(codes) and codes <= _TRANSIENT_REASONS


def within_limits(
    events: ListAttribute[int] | Path, windows: Sequence[Window], now: int | Parameter
) -> Condition:
    """Return the condition that one more event fits into every window of a newest-first list.

    `events` is a list of epoch seconds. Raises ValueError without windows.
    """
    condition: Condition | None = None
    for window in windows:
        oldest = events[window.limit - 1]
        # DynamoDB evaluates a comparison with a missing entry as false, so absence is allowed.
        fits = oldest.does_not_exist() | (oldest <= now - window.seconds)
        condition = fits if condition is None else condition & fits
    if condition is None:
        raise ValueError("at least one window is needed")
    return condition


def prepend(events: ListAttribute[Any] | Path, entry: int | str | Parameter) -> Action:
    """Return the action that inserts an entry at the front of a list, created if missing.

    The action does not trim the list, whose limits bound its growth.
    """
    entries = entry.in_list() if isinstance(entry, Parameter) else [entry]
    return events.set((events | []).prepend(entries))


def raw_list(item: dict[str, Any] | None, name: str) -> list[int]:
    """Return a list of epoch seconds of an item in DynamoDB's JSON form; empty if missing."""
    if item is None or name not in item:
        return []
    return _numbers(item[name])


def _numbers(attribute: dict[str, Any]) -> list[int]:
    return [int(entry["N"]) for entry in attribute["L"]]


def raw_texts(item: dict[str, Any] | None, name: str) -> list[str]:
    """Return a list of strings of an item in DynamoDB's JSON form; empty if missing."""
    if item is None or name not in item:
        return []
    return [entry["S"] for entry in item[name]["L"]]


def raw_lists(item: dict[str, Any] | None, name: str) -> dict[str, list[int]]:
    """Return a map of lists of epoch seconds of an item in DynamoDB's JSON form; empty if missing."""
    if item is None or name not in item:
        return {}
    return {key: _numbers(entries) for key, entries in item[name]["M"].items()}


def raw_text(item: dict[str, Any] | None, name: str) -> str | None:
    """Return a string attribute of an item in DynamoDB's JSON form, or None."""
    return None if item is None or name not in item else item[name].get("S")


def raw_number(item: dict[str, Any] | None, name: str) -> int | None:
    """Return a number attribute of an item in DynamoDB's JSON form, or None."""
    return None if item is None or name not in item else int(item[name]["N"])
