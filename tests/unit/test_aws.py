"""The service's own way to AWS: plain answers from there, all else from botocore's client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError
from moto import mock_aws

from chalicelib.aws import DYNAMODB, SECRETS_MANAGER, JsonClient, Limits
from tests.loopback import Received, Reply, serving

LIMITS = Limits(connect_timeout=1, read_timeout=2, attempts=3)
GET = ("GetItem", {"TableName": "t", "Key": {"id": {"S": "一"}}})


@dataclass
class Aws:
    """A service that answers as it is told, the last answer for ever."""

    replies: list[Reply] = field(default_factory=lambda: [(200, b"{}")])
    asked: list[Received] = field(default_factory=list)

    def __call__(self, request: Received) -> Reply:
        self.asked.append(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    answering = Aws()
    with serving(answering) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        yield answering


@pytest.fixture
def client(aws: Aws) -> JsonClient:
    return JsonClient(DYNAMODB, LIMITS)


def refusal(code: str, **members: Any) -> Reply:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **members}
    return 400, json.dumps(body).encode()


def by_botocore(request: Received) -> bool:
    return "otocore" in request.headers.get("user-agent", "")


def test_a_plain_answer_is_given_as_it_stands(aws: Aws, client: JsonClient) -> None:
    """What goes out is what was given, and what comes in is what is got."""
    item = {"Item": {"id": {"S": "一"}, "n": {"N": "1"}}}
    aws.replies = [(200, json.dumps(item).encode())]
    assert client.call(*GET) == item
    (request,) = aws.asked
    assert json.loads(request.body) == GET[1]
    assert request.headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert not by_botocore(request)


def test_both_clients_sign_and_say_the_same(aws: Aws, client: JsonClient) -> None:
    """The same request by botocore's own client: the same body, the same scope, the same headers."""
    client.call(*GET)
    boto3.client("dynamodb").get_item(**GET[1])
    ours, theirs = aws.asked
    assert json.loads(ours.body) == json.loads(theirs.body)
    for name in ("x-amz-target", "content-type", "host"):
        assert ours.headers[name] == theirs.headers[name]

    def signed(request: Received) -> tuple[str, ...]:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=testing/\d{8}/(\S+), SignedHeaders=(\S+), "
            r"Signature=[0-9a-f]{64}",
            request.headers["authorization"],
        )
        assert found, request.headers["authorization"]
        return found.groups()

    assert signed(ours) == signed(theirs)


@pytest.mark.parametrize(
    "code",
    [
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "TransactionConflictException",
    ],
)
def test_a_refusal_is_told_at_once_with_all_that_came(
    aws: Aws, client: JsonClient, code: str
) -> None:
    """Nobody asks again, and the item that stood in the way is there."""
    aws.replies = [refusal(code, Item={"id": {"S": "a"}})]
    with pytest.raises(ClientError) as raised:
        client.call(*GET)
    assert raised.value.response["Error"] == {"Code": code, "Message": "no"}
    assert raised.value.response["Item"] == {"id": {"S": "a"}}
    assert len(aws.asked) == 1


@pytest.mark.parametrize(
    "passing",
    [
        (500, b"{}"),
        (503, b"<html>"),
        (200, b"no json"),
        refusal("ThrottlingException"),
        refusal("ProvisionedThroughputExceededException"),
        refusal("RequestLimitExceeded"),
    ],
)
def test_what_may_pass_is_asked_again_by_botocore(
    aws: Aws, client: JsonClient, passing: Reply
) -> None:
    """The second attempt is botocore's own."""
    aws.replies = [passing, (200, b"{}")]
    assert "Item" not in client.call(*GET)
    assert [by_botocore(request) for request in aws.asked] == [False, True]


def test_no_more_is_asked_than_the_limits_say(aws: Aws, client: JsonClient) -> None:
    """One attempt here and two of botocore's."""
    aws.replies = [(500, b'{"__type": "InternalServerError"}')]
    with pytest.raises(ClientError, match="InternalServerError"):
        client.call(*GET)
    assert len(aws.asked) == 3


def test_any_other_refusal_is_botocore_s_to_tell(aws: Aws, client: JsonClient) -> None:
    """A table that there is not, say."""
    aws.replies = [refusal("ResourceNotFoundException")]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.call(*GET)


def test_a_repeated_transaction_carries_the_same_token(aws: Aws, client: JsonClient) -> None:
    """DynamoDB knows it by that and writes once; another transaction has another token."""
    aws.replies = [(500, b"{}"), (200, b"{}")]
    for _ in range(2):
        client.call("TransactWriteItems", {"TransactItems": []})
    first, again, second = (json.loads(request.body)["ClientRequestToken"] for request in aws.asked)
    assert first == again != second


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_refusal_of_a_repeat_tells_of_the_attempts_before(
    aws: Aws, client: JsonClient, before: int
) -> None:
    """One of them may have taken effect, and what it wrote be what the last one was refused for."""
    lost: list[Reply] = [(500, b"{}")] * before
    aws.replies = [*lost, refusal("ConditionalCheckFailedException", Item={"id": {"S": "a"}})]
    with pytest.raises(ClientError) as raised:
        client.call("UpdateItem", {"TableName": "t", "Key": {"id": {"S": "a"}}})
    told = raised.value.response.get("ResponseMetadata", {})
    assert told.get("RetryAttempts", 0) == before
    assert raised.value.response["Item"] == {"id": {"S": "a"}}


def test_nobody_listening_is_an_error_of_botocore_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store tells it apart from a refusal by its kind."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    with pytest.raises((EndpointConnectionError, ConnectTimeoutError)):
        JsonClient(DYNAMODB, LIMITS).call(*GET)


def test_a_connection_that_died_is_found_out_beforehand(aws: Aws, client: JsonClient) -> None:
    """A function that slept finds its connections closed, and botocore need not be made for it."""
    client.call(*GET)
    assert client._kept is not None
    (idle,) = client._kept._idle
    idle.sock.shutdown(2)
    client.call(*GET)
    assert [by_botocore(request) for request in aws.asked] == [False, False]


def test_behind_a_proxy_botocore_does_it_all(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows how, and operators' machines may be there."""
    with serving(lambda _: (200, b'{"Item": {"id": {"S": "by proxy"}}}')) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb.example")
        answer = JsonClient(DYNAMODB, LIMITS).call(*GET)
    assert answer["Item"] == {"id": {"S": "by proxy"}}


def test_what_hangs_on_botocore_s_events_hears_of_calls(aws: Aws, client: JsonClient) -> None:
    """Before a call, before it is sent, and after it."""
    heard: list[str] = []
    for event in ("before-call", "before-send", "after-call"):
        client.meta.events.register(
            f"{event}.dynamodb.GetItem", lambda event_name, **_: heard.append(event_name)
        )
    client.call(*GET)
    assert [name.partition(".")[0] for name in heard] == [
        "before-call",
        "before-send",
        "after-call",
    ]


def test_threads_share_a_client(aws: Aws) -> None:
    """Each gets the answer to its own question."""

    def echo(request: Received) -> Reply:
        return 200, json.dumps({"Item": json.loads(request.body)["Key"]}).encode()

    with serving(echo) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        client = JsonClient(DYNAMODB, Limits(1, 2, 3, connections=8))
        keys = [{"id": {"N": str(number)}} for number in range(60)]
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(lambda key: client.call("GetItem", {"Key": key}), keys)
            assert [answer["Item"] for answer in answers] == keys


def test_a_secret_is_read_as_boto3_reads_it() -> None:
    """Secrets Manager speaks the same JSON."""
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="settings", SecretString="{}")
        client = JsonClient(SECRETS_MANAGER, LIMITS)
        assert client.get_secret_value(SecretId="settings")["SecretString"] == "{}"
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client.get_secret_value(SecretId="another")
