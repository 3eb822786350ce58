"""Call moto's DynamoDB as a function, without signing, routing or parsing requests.

The state machine takes thousands of steps, and the fault injection hundreds of whole use cases, each of
which would spend most of its time on the way to moto and back. Other tests cover the protocol.
"""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import ConditionalCheckFailed, TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler

from chalicelib.store.models import LoginItem
from chalicelib.store.pynamodb_internals import connection_of
from tests.support.dynamodb_updates import updated


def backend() -> DynamoDBBackend:
    """Return moto's backend of DynamoDB."""
    found: DynamoDBBackend = get_backend("dynamodb")["123456789012"]["cn-north-1"]
    return found


class _Handler(DynamoHandler):
    """A handler that is constructed with its request."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self.body = self.params = params

    @property
    def dynamodb_backend(self) -> DynamoDBBackend:
        return backend()


_FINAL = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})


def call(operation: str, params: dict[str, Any]) -> dict[str, Any]:
    """Carry out an operation in DynamoDB's JSON form. Raises ClientError where a condition fails."""
    try:
        if operation == "TransactWriteItems":
            _transact(params["TransactItems"])
            return {}
        if operation == "UpdateItem":
            return _update(params)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        answer: dict[str, Any] = plain(getattr(_Handler(params), name)().result)
        return answer
    except JsonRESTError as error:
        members: Any = json.loads(error.description)
        code = members.pop("__type").rpartition("#")[2]
        message = members.pop("message", None) or members.pop("Message", "")
        assert code in _FINAL, f"{operation}: {code}: {message}"
        response: Any = {**members, "Error": {"Code": code, "Message": message}}
        raise ClientError(response, operation) from error


class AtHand:
    """A double of botocore's DynamoDB client, with the methods that pynamodb's connection uses."""

    _request_signer = None

    def _make_api_call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return call(operation, params)


def use() -> None:
    """Make it the models' client."""
    connection_of(LoginItem)._client = AtHand()  # type: ignore[assignment]


def plain(value: Any) -> Any:
    """Return moto's values in DynamoDB's JSON form."""
    if isinstance(value, DynamoType):
        return {value.type: plain(value.value)}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _holds(part: dict[str, Any], current: Any) -> bool:
    condition = part.get("ConditionExpression")
    if condition is None:
        return True
    names = part.get("ExpressionAttributeNames")
    asked = get_filter_expression(condition, names, part.get("ExpressionAttributeValues"))
    return bool(asked.expr(current))


def _put_updated(part: dict[str, Any], current: Any) -> dict[str, Any]:
    before = part["Key"] if current is None else plain(current.attrs)
    after = updated(before, part)
    backend().put_item(part["TableName"], after)
    return after


def _update(part: dict[str, Any]) -> dict[str, Any]:
    """Update one item, as moto does."""
    current = backend().get_item(part["TableName"], part["Key"])
    if not _holds(part, current):
        shown = part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise ConditionalCheckFailed(item=plain(current.attrs) if current and shown else None)
    after = _put_updated(part, current)
    return {"Attributes": after} if part.get("ReturnValues") == "ALL_NEW" else {}


def _transact(items: list[dict[str, dict[str, Any]]]) -> None:
    """Write all items or none. moto copies every table before; here all conditions are checked first."""
    parts: list[tuple[str, dict[str, Any], Any]] = []
    refusals: list[Any] = []
    for item in items:
        ((kind, part),) = item.items()
        key = part["Key"] if kind != "Put" else _key(part)
        current = backend().get_item(part["TableName"], key)
        parts.append((kind, part, current))
        if _holds(part, current):
            refusals.append((None, None, None))
            continue
        shown = part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        attributes = plain(current.attrs) if current and shown else None
        refusals.append(("ConditionalCheckFailed", "The conditional request failed", attributes))
    if any(code for code, _, _ in refusals):
        raise TransactionCanceledException(refusals)
    for kind, part, current in parts:
        if kind == "Put":
            backend().put_item(part["TableName"], part["Item"])
        elif kind == "Update":
            _put_updated(part, current)
        else:
            assert kind == "ConditionCheck", kind


def _key(put: dict[str, Any]) -> dict[str, Any]:
    table = backend().get_table(put["TableName"])
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name is not None]
    return {name: put["Item"][name] for name in names}
