"""Each function's policy is enough for its calls and no more; IAM enforces it during the flows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.package import iam
from tests.package.iam import ACCOUNT, FUNCTIONS, PREFIX, REGION, Call, Grant, Ledger, arn
from tests.package.operator_calls import FLOWS, run_command
from tests.package.service_calls import Stage, prepare, staged
from tests.support.wechat_platform import playing

# One of a kind: a call alone, a table of a batch, an item of a transaction, a message of a batch,
# a message without a resource, what Lambda does, and what a function could do without.
TAKEN = [
    ("api", "secretsmanager:GetSecretValue", "secretsmanager", "secret:recovery-settings-*"),
    ("api", "dynamodb:ConditionCheckItem", "dynamodb", "table/recovery-logins"),
    ("api", "dynamodb:BatchGetItem", "dynamodb", "table/recovery-ephemera"),
    ("api", "dynamodb:Query", "dynamodb", "table/recovery-audit"),
    ("desk", "dynamodb:Query", "dynamodb", "table/recovery-audit/index/by-day"),
    ("desk", "dynamodb:DeleteItem", "dynamodb", "table/recovery-desk"),
    ("api", "sns:Publish", "", "*"),
    ("yearly_reset", "sqs:SendMessage", "sqs", "recovery-reset"),
    ("yearly_reset", "dynamodb:PutItem", "dynamodb", "table/recovery-runs"),
    ("reset_accounts", "dynamodb:UpdateItem", "dynamodb", "table/recovery-ephemera"),
    ("reset_accounts", "sns:Publish", "sns", "recovery-ops"),
    ("reset_accounts", "sqs:GetQueueAttributes", "sqs", "recovery-reset"),
    ("sms_receipts", "dynamodb:UpdateItem", "dynamodb", "table/recovery-audit"),
    ("canary", "dynamodb:GetItem", "dynamodb", "table/recovery-ephemera"),
]

MAILBOX = "canary#00000000"
"""The key of the item with the test firm's code."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Yield a new account under IAM."""
    with playing() as wechat:
        prepare(wechat)
        with staged(wechat) as made:
            yield made


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """Return the authorization requests of all flows."""
    asked: set[Call] = set()
    refused: list[Call] = []
    for flow in FLOWS.values():
        with playing() as wechat:
            prepare(wechat)
            with staged(wechat) as made:
                flow(made)
            asked |= made.ledger.asked
            refused += made.ledger.refused
    return Ledger(asked, refused)


def test_a_function_has_every_grant_that_it_uses(ledger: Ledger) -> None:
    """No call of any flow is refused, and each function makes some."""
    assert not ledger.refused
    assert {call.role for call in ledger.asked} >= set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_no_unused_grant(ledger: Ledger, function: str) -> None:
    """Without any one of its grants a call of its flow would be refused."""
    mine = [call for call in ledger.asked if call.role == function]
    assert all(iam.allows(iam.document(function), call) for call in mine)
    idle = [
        grant
        for grant in iam.grants(function)
        if all(iam.allows(iam.document(function, without=grant), call) for call in mine)
    ]
    assert not idle


@pytest.mark.parametrize(("function", "action", "service", "name"), TAKEN)
def test_without_a_grant_the_flow_is_refused(
    stage: Stage, function: str, action: str, service: str, name: str
) -> None:
    """A real run: IAM refuses that very action, and nothing else."""
    grant: Grant = (action, arn(service, name) if service else name)
    assert grant in iam.grants(function)
    stage.account.remove_grant(function, grant)
    try:
        FLOWS[function](stage)
    except Exception:
        # The refused action is what counts; the flow may fail because of it.
        assert stage.ledger.refused
    assert {(call.role, call.action) for call in stage.ledger.refused} == {(function, action)}


def test_a_transaction_is_refused_as_a_whole(stage: Stage) -> None:
    """Without one item's action, no item is written, and the response is a plain problem."""
    grant = ("dynamodb:PutItem", arn("dynamodb", "table/recovery-audit"))
    stage.account.remove_grant("api", grant)
    before = stage.scan("logins")
    with stage.acting("api") as world:
        token = world.token()
        answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    assert not stage.scan("audit")
    assert not [item for item in stage.scan("ephemera") if item["id"]["S"].startswith("code#")]
    assert len(stage.scan("logins")) == len(before)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_canary_reads_its_mailbox(stage: Stage, function: str) -> None:
    """Really called by each role; the canary reads nothing else there, and changes no real login."""
    table = f"{PREFIX}-ephemera"
    keys = [{"id": {"S": MAILBOX}}, {"id": {"S": "code#11010148"}}]
    with stage.account.role(function):
        client: Any = boto3.client("dynamodb")
        reads = [_is_allowed(client.get_item, TableName=table, Key=key) for key in keys]
        assert not _is_allowed(client.batch_get_item, RequestItems={table: {"Keys": keys}})
        assert not _is_allowed(client.scan, TableName=table)
        if function == "canary":
            change = {
                "TableName": f"{PREFIX}-logins",
                "UpdateExpression": "SET firm_no = :v",
                "ExpressionAttributeValues": {":v": {"S": "0"}},
            }
            for login, is_own in (("00000000", True), ("11010148", False)):
                key = {"login": {"S": login}}
                assert _is_allowed(client.update_item, Key=key, **change) == is_own
    assert reads == [function == "canary", function in ("api", "desk", "sms_receipts", "operators")]


def _is_allowed(operation: Callable[..., object], **request: Any) -> bool:
    try:
        operation(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


ON_COPIES = {"Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
"""What AWS requires on the new table of a restore, beside the calls that the command makes."""


def test_a_restore_has_every_grant_that_it_uses(stage: Stage) -> None:
    """And no other: on the present tables it reads alone."""
    with stage.account.tester(), patch.dict(os.environ, SECRETS_ID=f"{PREFIX}-settings"):
        client: Any = boto3.client("dynamodb")
        for name in ("firms", "logins", "followers", "audit", "runs", "desk"):
            client.update_continuous_backups(
                TableName=f"{PREFIX}-{name}",
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        stage.ledger.asked.clear()
        run_command("restore", "--to", "latest", "--target", "restored-1", "--reason", "演练")
        calls = [call for call in stage.ledger.asked if call.action.startswith("dynamodb:")]
    policy = iam.document("restore")
    assert [call for call in calls if not iam.allows(policy, call)] == []
    idle = {
        grant
        for grant in iam.grants("restore")
        if all(iam.allows(iam.document("restore", without=grant), call) for call in calls)
    }
    copies = arn("dynamodb", "table/restored-*")
    # The present tables are described only for a copy in another region.
    assert idle == {(f"dynamodb:{action}", copies) for action in ON_COPIES} | {
        grant
        for grant in iam.grants("restore")
        if grant[0].endswith(":DescribeTable") and grant[1] != copies
    }


def test_nothing_is_granted_on_everything() -> None:
    """Only SMS to a phone number and metrics have a `*` as resource, since AWS has no ARN for them."""
    for function in FUNCTIONS:
        for action, resource in iam.grants(function):
            assert "*" not in action
            sends = function in ("api", "desk", "operators") and action == "sns:Publish"
            counts = function == "operators" and action == "cloudwatch:PutMetricData"
            assert (resource == "*") == (sends or counts)


TOPICS = [
    arn("sns", "recovery-ops"),
    arn("sns", "recovery-ops.fifo"),
    arn("sns", "another"),
    arn("sns", "endpoint/GCM/app/1"),
    f"arn:aws-cn:sns:cn-northwest-1:{ACCOUNT}:recovery-ops",
    f"arn:aws-cn:sns:{REGION}:999999999999:of-somebody-else",
]


def test_the_api_publishes_to_phones_alone() -> None:
    """The star that an SMS requires includes no topic and no endpoint, of no region and no account."""
    policy = iam.document("api")
    assert iam.allows(policy, Call("api", "sns:Publish", "*"))
    assert [
        topic for topic in TOPICS if iam.allows(policy, Call("api", "sns:Publish", topic))
    ] == []
    denial = ("sns:Publish", "arn:aws-cn:sns:*:*:*")
    assert iam.denials("api") == [denial]
    without = iam.document("api", denial)
    assert all(iam.allows(without, Call("api", "sns:Publish", topic)) for topic in TOPICS)


def test_the_operations_topic_is_open_to_who_reports_the_reset() -> None:
    """And to no other function; no function publishes to another topic."""
    ops = arn("sns", "recovery-ops")
    publishers = {
        (function, topic)
        for function in FUNCTIONS
        for topic in TOPICS
        if iam.allows(iam.document(function), Call(function, "sns:Publish", topic))
    }
    assert publishers == {("reset_accounts", ops), ("yearly_reset", ops)}


def test_iam_refuses_a_topic_while_a_phone_passes(stage: Stage) -> None:
    """Really called: the API's role sends an SMS and publishes to no topic."""
    with stage.account.role("api"):
        client = boto3.client("sns")
        assert client.publish(PhoneNumber="+8613800001234", Message="m")["MessageId"]
        topic = stage.resources["OpsTopic"]
        for named in ("TopicArn", "TargetArn"):
            request: dict[str, Any] = {named: topic}
            with pytest.raises(ClientError, match="not authorized"):
                client.publish(Message="m", **request)
    assert [call.resource for call in stage.ledger.refused] == [topic, topic]
