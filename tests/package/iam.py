"""IAM as AWS enforces it: moto's, with what moto leaves out asked at the same place.

Once its enforcement is on, moto checks the signature of each call, finds the assumed role of its
key, and asks the role's policies for one action on one resource. Four things it does not do, which
`enforced` adds where moto asks, by moto's own request and evaluator:

- of DynamoDB, SNS, Secrets Manager and Logs it gives `*` as the resource, which a statement with a
  name never matches: the table, the topic, the secret and the log group are named instead;
- it asks for `TransactWriteItems` and the like, which IAM does not know, and does not look inside:
  AWS asks for each item's own action on that item's table, for a batch of DynamoDB for the batch's
  action on each table, for a batch of SQS for the action of a single message;
- it ignores conditions: those on the keys of DynamoDB's items (`dynamodb:LeadingKeys`) are evaluated
  here, and no policy has another one;
- it refuses in XML, which clients of JSON services cannot read.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
from moto.core.authorization import ActionAuthenticatorMixin, enable_iam_authentication
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.iam.access_control import IAMPolicy, IAMRequest, PermissionResult
from moto.secretsmanager.models import secretsmanager_backends

from infra.deploy.package import ROOT
from infra.deploy.tables import resolve

REGION = "cn-north-1"
ACCOUNT = "123456789012"
PREFIX = "recovery"

FUNCTIONS = {
    "api": "api",
    "desk": "desk",
    "yearly_reset": "yearly-reset",
    "reset_accounts": "reset-accounts",
    "sms_receipts": "sms-receipts",
    "canary": "canary",
    "operators": "operators",
}
"""The policies' names by function; the operators, who are people, have one as well."""

# What the stack puts in the place of its placeholders.
_VALUES = {
    "AWS::Partition": "aws-cn",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "stack",
    "TablePrefix": PREFIX,
    "Tables": PREFIX,
    "RestAPI": "api",
}

_ITEMS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}

Grant = tuple[str, str]
"""An action and the resource that it is allowed on, as a policy writes it."""


class KeyCondition(NamedTuple):
    """A condition of a statement on the hash keys of the items."""

    action: str
    resource: str
    is_allowed: bool
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One authorization request: principal, action and resource."""

    role: str
    action: str
    resource: str


@dataclass
class Ledger:
    """The authorization requests while IAM was enforced, and those refused."""

    asked: set[Call] = field(default_factory=set)
    refused: list[Call] = field(default_factory=list)


def arn(service: str, name: str) -> str:
    """Return the ARN of a name in this account."""
    return f"arn:aws-cn:{service}:{REGION}:{ACCOUNT}:{name}"


def document(function: str, without: Grant | None = None) -> dict[str, Any]:
    """Return a function's policy as the stack has it, optionally without one grant."""
    name = FUNCTIONS.get(function, function)
    text = (ROOT / ".chalice" / f"policy-{name}.json").read_text("utf-8")
    policy: dict[str, Any] = json.loads(text)
    policy["Statement"] = [
        {"Effect": statement["Effect"], "Action": action, "Resource": resource}
        for statement in policy["Statement"]
        # Denied under its condition alone, by `keys_refused`.
        if not ("Condition" in statement and statement["Effect"] == "Deny")
        for action, resource in _of(statement)
        if (action, resource) != without
    ]
    return policy


def key_conditions(function: str) -> list[KeyCondition]:
    """Return the conditions on the keys of items in a function's policy."""
    text = (ROOT / ".chalice" / f"policy-{FUNCTIONS[function]}.json").read_text("utf-8")
    found = []
    for statement in json.loads(text)["Statement"]:
        for operator, keys in statement.get("Condition", {}).items():
            # Every key must match to be allowed, and any to be denied.
            is_allowed = statement["Effect"] == "Allow"
            assert operator == f"For{'AllValues' if is_allowed else 'AnyValue'}:StringLike"
            assert set(keys) == {"dynamodb:LeadingKeys"}
            patterns = tuple(keys["dynamodb:LeadingKeys"])
            found += [KeyCondition(*each, is_allowed, patterns) for each in _of(statement)]
    return found


def keys_refused(function: str, action: str, resource: str, keys: Iterable[str]) -> bool:
    """Return whether a condition on the keys refuses a call that the policy allows otherwise."""
    return any(
        any(fnmatch.fnmatchcase(key, each) for each in condition.patterns) != condition.is_allowed
        for condition in key_conditions(function)
        if (condition.action, condition.resource) == (action, resource)
        for key in keys
    )


def grants(function: str) -> list[Grant]:
    """Return every grant of a function."""
    return _by_effect(function, "Allow")


def denials(function: str) -> list[Grant]:
    """Return every action and resource that a function is denied."""
    return _by_effect(function, "Deny")


def _by_effect(function: str, effect: str) -> list[Grant]:
    return [
        (statement["Action"], statement["Resource"])
        for statement in document(function)["Statement"]
        if statement["Effect"] == effect
    ]


def _of(statement: dict[str, Any]) -> list[Grant]:
    resources = statement["Resource"]
    named = [resources] if isinstance(resources, str) else resources
    return [
        (action, str(resolve({"Fn::Sub": resource}, _VALUES)))
        for action in statement["Action"]
        for resource in named
    ]


def allows(policy: dict[str, Any], call: Call) -> bool:
    """Return whether a policy allows a call, by moto's evaluator."""
    found = IAMPolicy(json.dumps(policy)).is_action_permitted(call.action, call.resource)
    return bool(found == PermissionResult.PERMITTED)


class Account:
    """The account's roles, one for each function, and a tester with all permissions."""

    def __init__(self) -> None:
        """Made before IAM is enforced; there must be an AWS to make it in."""
        iam, sts = boto3.client("iam"), boto3.client("sts")
        iam.create_user(UserName="tester")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_user_policy(
            UserName="tester",
            PolicyName="everything",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
        )
        key = iam.create_access_key(UserName="tester")["AccessKey"]
        self._tester = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        self._roles: dict[str, dict[str, str]] = {}
        for function in FUNCTIONS:
            trust = {"Service": "lambda.amazonaws.com"}
            statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
            role = iam.create_role(
                RoleName=function,
                AssumeRolePolicyDocument=json.dumps({"Statement": [statement]}),
            )["Role"]["Arn"]
            self._write(iam, function, document(function))
            given = sts.assume_role(RoleArn=role, RoleSessionName="lambda")["Credentials"]
            self._roles[function] = {
                "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
                "AWS_SESSION_TOKEN": given["SessionToken"],
            }

    @staticmethod
    def _write(iam: Any, function: str, policy: dict[str, Any]) -> None:
        iam.put_role_policy(RoleName=function, PolicyName="own", PolicyDocument=json.dumps(policy))

    def remove_grant(self, function: str, grant: Grant) -> None:
        """Remove one grant from the function's role."""
        with self.tester():
            self._write(boto3.client("iam"), function, document(function, grant))

    def tester(self) -> Any:
        """Let every client made in the block be the tester's."""
        return _keys(self._tester)

    def role(self, function: str) -> Any:
        """Let every client made in the block be the function's."""
        return _keys(self._roles[function])


@contextmanager
def _keys(keys: dict[str, str]) -> Iterator[None]:
    # boto3's default session keeps the keys that it was made with.
    with patch.dict(os.environ, keys), patch("boto3.DEFAULT_SESSION", None):
        if "AWS_SESSION_TOKEN" not in keys:
            os.environ.pop("AWS_SESSION_TOKEN", None)
        yield


@contextmanager
def enforced() -> Iterator[Ledger]:
    """Authorize every call until the block ends as AWS would; yield the ledger."""
    ledger = Ledger()

    keys: tuple[str, ...] = ()

    class Request(IAMRequest):
        def check_action_permitted(self, resource: str) -> None:
            role = getattr(self._access_key, "_owner_role_name", "")
            # IAM's name of the service differs from that of its endpoint.
            self._action = self._action.replace("monitoring:", "cloudwatch:")
            call = Call(role, self._action, resource)
            if self._action == "sts:GetCallerIdentity":
                # AWS requires no permission for it.
                return
            ledger.asked.add(call)
            try:
                super().check_action_permitted(resource)
                if role in FUNCTIONS and keys_refused(role, self._action, resource, keys):
                    raise AccessDeniedError(user_arn="", action=self._action)
            except AccessDeniedError as error:
                ledger.refused.append(call)
                if self._service in ("sns", "iam", "sts"):
                    raise
                raise JsonRESTError("AccessDeniedException", error.message) from None

    def authorise(call: Any, resource: str = "*") -> None:
        # Every action is authorized before anything is done.
        nonlocal keys
        for asked, named, of_items in list(_authorized(call, resource)):
            keys = of_items

            def request(asked: str = asked, **given: Any) -> Request:
                return Request(**{**given, "action": asked})

            call._authenticate_and_authorize_action(request, named)

    with (
        patch.object(
            ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", authorise
        ),
        enable_iam_authentication(),
    ):
        yield ledger


def _authorized(call: Any, resource: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Return the actions and resources that AWS authorizes for a call, and the items' hash keys."""
    service, action = call.service_name, call._get_action()
    given = json.loads(call.raw_body) if service in ("dynamodb", "logs", "secretsmanager") else {}
    none = ()
    if service == "dynamodb":
        for what, name, keys in _tables(action, given):
            yield what, arn(service, f"table/{name}"), keys
    elif service == "sqs" and action == "GetQueueUrl":
        yield action, arn(service, json.loads(call.raw_body)["QueueName"]), none
    elif service == "sqs":
        yield action.removesuffix("Batch"), resource, none
    elif service == "sns":
        # A phone number is no resource.
        yield action, call._get_param("TopicArn") or call._get_param("TargetArn") or "*", none
    elif service == "secretsmanager":
        secret = secretsmanager_backends[ACCOUNT][REGION].secrets.get(given["SecretId"])
        yield action, secret.arn if secret else arn(service, f"secret:{given['SecretId']}"), none
    elif service == "logs":
        group = f"log-group:{given['logGroupName']}"
        stream = f":log-stream:{given['logStreamName']}" if action == "PutLogEvents" else ""
        yield action, arn(service, group + stream), none
    else:
        yield action, resource, none


def _tables(action: str, given: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if action == "TransactWriteItems":
        for item in given["TransactItems"]:
            for kind, body in item.items():
                yield _ITEMS[kind], body["TableName"], _hash_keys(body)
    elif action == "BatchGetItem":
        for table, body in given["RequestItems"].items():
            keys = (key for each in body["Keys"] for key in _hash_keys({"Key": each}))
            yield action, table, tuple(keys)
    elif action == "BatchWriteItem":
        for table in given["RequestItems"]:
            yield action, table, ()
    elif action == "RestoreTableToPointInTime":
        for name in (given["SourceTableName"], given["TargetTableName"]):
            yield action, name, ()
    elif "IndexName" in given:
        # Authorized on the index alone, not on its table.
        yield action, f"{given['TableName']}/index/{given['IndexName']}", ()
    else:
        yield action, given["TableName"], _hash_keys(given)


# Before those of range keys: an item of the desk has `kind` and `id`.
_HASH_KEYS = ("firm_no", "login", "openid", "year", "kind", "id")


def _hash_keys(given: dict[str, Any]) -> tuple[str, ...]:
    """Return the hash key of a request's item; none of a query's."""
    key = given.get("Key") or given.get("Item") or {}
    # A login's item has `firm_no` as well, a firm's has no `login`.
    names = [name for name in _HASH_KEYS if name in key]
    if "login" in names and "firm_no" in names:
        names.remove("firm_no")
    return tuple(key[name]["S"] for name in names[:1])
