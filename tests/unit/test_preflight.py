"""Checks before a deployment that moto's AWS does not answer, or not as an account does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from infra.deploy import first_settings, package, preflight, words
from infra.deploy.preflight import Deployment, Finding
from infra.deploy.tables import conditions, create_tables

NOWHERE = Path("none")


@pytest.fixture
def _account() -> Iterator[None]:
    with mock_aws():
        yield


def deployment(**given: str) -> Deployment:
    """Return a deployment with these parameters."""
    return Deployment("recovery", "aws-cn", NOWHERE, None, given)


class Answering:
    """A client of any service, whose calls have one answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return self._call

    def _call(self, **_: object) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def answering(patch: pytest.MonkeyPatch, answer: Any) -> None:
    """Let AWS give this answer to every call, or raise it."""
    patch.setattr(boto3, "client", lambda _: Answering(answer))


@pytest.mark.parametrize(("free", "level"), [(1000, "ok"), (10, "fail")])
def test_the_account_s_concurrency_is_checked(
    monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    """A new account's lowered value is too little for January."""
    answering(monkeypatch, {"AccountLimit": {"UnreservedConcurrentExecutions": free}})
    (finding,) = preflight.concurrency(deployment())
    assert finding.level == level
    assert str(free) in finding.text


def test_an_issued_certificate_of_the_domain_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own name or a wildcard."""
    arn = "arn:aws-cn:acm:cn-north-1:123456789012:certificate/1"
    described = {"DomainName": "*.example.org", "Status": "ISSUED"}
    answering(monkeypatch, {"Certificate": described})
    given = deployment(DomainName="recovery.example.org", CertificateArn=arn)
    domain = given["DomainName"]
    expected = Finding("ok", words.CERTIFICATE.format(domain=domain))
    assert list(preflight.certificate(given)) == [expected]


def test_a_stack_that_may_not_be_described_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is not taken for a stack that does not exist."""
    refusal: Any = {"Error": {"Code": "AccessDenied", "Message": ""}}
    answering(monkeypatch, ClientError(refusal, "DescribeStacks"))
    monkeypatch.setattr(preflight, "CHECKS", {"stack": preflight.stack})
    assert list(preflight.run(deployment())) == [
        ("stack", Finding("warn", words.UNCHECKED.format(code="AccessDenied")))
    ]


@pytest.mark.usefixtures("_account")
def test_without_a_region_nothing_else_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command names the variable."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    ran = CliRunner().invoke(preflight.main, ["--template", str(NOWHERE)])
    assert ran.exit_code == 1
    assert ran.output.rstrip().endswith(words.NO_REGION)


@pytest.mark.usefixtures("_account")
def test_a_secret_that_is_to_be_adopted_must_exist() -> None:
    """Otherwise the functions would have no settings."""
    (found,) = preflight._secret(deployment(ExistingSecret="yes"))
    assert found == Finding("fail", words.SECRET_MISSING.format(name="recovery-settings"))


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"SITE_URL": 1}'])
def test_a_file_that_is_no_object_of_texts_is_named(tmp_path: Path, content: bytes) -> None:
    """Before anything is read from AWS."""
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    ran = CliRunner().invoke(first_settings.main, [str(path)])
    assert ran.exit_code == 2
    assert str(path) in ran.output


def test_the_package_is_built_as_the_command_line_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Folder, partition and runtime; the interpreter is looked up by its version."""
    built: list[tuple[Any, ...]] = []
    monkeypatch.setattr(package, "build", lambda *given: built.append(given))
    monkeypatch.setattr(package, "_interpreter", lambda version: f"/bin/python{version}")
    options = ["--partition", "aws", "--python", "3.13", "--architecture", "arm64"]
    ran = CliRunner().invoke(package.main, ["--target", str(tmp_path), *options])
    assert ran.exit_code == 0, ran.output
    assert built == [(tmp_path, "aws", package.Runtime("3.13", "arm64", "/bin/python3.13"))]


def test_a_condition_of_alternatives_holds_where_one_of_them_does() -> None:
    """As CloudFormation evaluates `Fn::Or`."""
    both = {"Fn::Or": [{"Fn::Equals": [{"Ref": "A"}, "1"]}, {"Condition": "Other"}]}
    other = {"Fn::Equals": [{"Ref": "A"}, "2"]}
    template = {"Conditions": {"Both": both, "Other": other}}
    found = [conditions(template, {"A": value})["Condition:Both"] for value in "123"]
    assert found == ["true", "true", "false"]


class Creating:
    """A client of DynamoDB whose tables are not active at once."""

    exceptions = type("Exceptions", (), {"ResourceInUseException": KeyError})

    def __init__(self) -> None:
        self.calls: list[str] = []

    def create_table(self, **_: Any) -> Any:
        self.calls.append("create")
        return {"TableDescription": {"TableStatus": "CREATING"}}

    def get_waiter(self, name: str) -> Creating:
        return self

    def wait(self, **_: Any) -> None:
        self.calls.append("wait")

    def update_time_to_live(self, **_: Any) -> None:
        self.calls.append("expire")


def test_a_table_is_awaited_before_its_expiry_is_set() -> None:
    """DynamoDB refuses the expiry of a table that is being created."""
    properties = {
        "TableName": "t",
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
    }
    template = {
        "Parameters": {},
        "Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": properties}},
    }
    client = Creating()
    assert create_tables(client, "recovery", template) == ["t"]
    assert client.calls == ["create", "wait", "expire"]
