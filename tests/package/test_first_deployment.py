"""The first deployment: adopted tables, the checks before it, and the secret's first value."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from chalicelib import container, runtime
from chalicelib.settings import load
from infra.deploy import first_settings, preflight, words
from infra.deploy.package import additions
from infra.deploy.tables import create_tables
from tests.conftest import SETTINGS, Clock, Phones, World, add_firm
from tests.support.api_client import ApiClient

# moto's CloudFormation has these of the template's own resources.
TEMPLATE = Path(preflight.__file__).with_name("edge.yaml")
KINDS = (
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
)


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    """Yield an empty account."""
    with mock_aws(), runtime.using(None):
        yield


def template() -> str:
    """Return the stack's own resources, for moto."""
    added = additions()
    kept = {
        name: dict(body) for name, body in added["Resources"].items() if body.get("Type") in KINDS
    }
    for body in kept.values():
        # moto knows the older policy only, which is the same once the stack is created.
        if body.get("DeletionPolicy") == "RetainExceptOnCreate":
            body["DeletionPolicy"] = "Retain"
    return json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": added["Parameters"],
            "Conditions": added["Conditions"],
            "Resources": kept,
        }
    )


def deploy(stack: str, **parameters: str) -> None:
    """Create a stack with these parameters."""
    boto3.client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=template(),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )


def world(prefix: str) -> World:
    """Return the service on the tables with a prefix."""
    phones = Phones()
    service = container.Service(
        load({**SETTINGS, "TABLE_PREFIX": prefix}), clock=Clock(), gateways={"console": phones}
    )
    runtime.install(service)
    return World(service, service.clock, phones, ApiClient())  # type: ignore[arg-type]


def recover(place: World) -> int:
    """Recover the firm's password by SMS, and return the last answer's status."""
    token = place.token()
    place.send(token)
    return place.confirm(token, place.phones.codes[-1]).status_code


def test_a_later_stack_adopts_the_tables_of_a_deleted_one() -> None:
    """Under another prefix and name; the people in the tables are those of before."""
    deploy("first", TablePrefix="first")
    before = world("first")
    add_firm(before.service.hasher)
    boto3.client("cloudformation").delete_stack(StackName="first")
    names = set(boto3.client("dynamodb").list_tables()["TableNames"])
    assert "first-logins" in names

    # The table of live codes is not retained; a restore makes it anew.
    create_tables(boto3.client("dynamodb"), "first")
    deploy("second", TablePrefix="second", ExistingTables="first")
    assert not [
        name for name in boto3.client("dynamodb").list_tables()["TableNames"] if "second" in name
    ]
    after = world("first")
    assert after.login_item().password_hash == before.login_item().password_hash
    assert recover(after) == 200


def test_two_stacks_of_one_account_do_not_meet() -> None:
    """Each has its own tables, queues and secret, and a recovery in one is not in the other."""
    deploy("recovery", TablePrefix="recovery")
    deploy("staging", TablePrefix="staging")
    names = boto3.client("dynamodb").list_tables()["TableNames"]
    assert len(names) == 14
    staging = world("staging")
    add_firm(staging.service.hasher)
    assert recover(staging) == 200
    counts = {
        name: boto3.client("dynamodb").scan(TableName=name, Select="COUNT")["Count"]
        for name in names
    }
    assert counts["staging-logins"] > 0
    assert not any(count for name, count in counts.items() if name.startswith("recovery-"))


def test_protection_comes_after_the_creation() -> None:
    """In the first deployment a rollback must be able to delete the new, empty tables."""
    client = boto3.client("dynamodb")
    for prefix, protection in (("fresh", "no"), ("grown", "yes")):
        deploy(prefix, TablePrefix=prefix, DeletionProtection=protection)
        described = client.describe_table(TableName=f"{prefix}-logins")["Table"]
        assert described["DeletionProtectionEnabled"] == (protection == "yes")
    assert additions()["Parameters"]["DeletionProtection"]["Default"] == "no"


def deployment(settings: Path | None = None, **given: str) -> preflight.Deployment:
    """Return a deployment of the packaged template."""
    return preflight.Deployment(
        stack="recovery",
        partition="aws-cn",
        template=TEMPLATE,
        settings=settings,
        given=given,
    )


def findings(check: str, wanted: preflight.Deployment) -> list[tuple[str, str]]:
    """Return the level and text of each finding of a check."""
    return [(found.level, found.text) for found in preflight.CHECKS[check](wanted)]


def levels(check: str, wanted: preflight.Deployment) -> set[str]:
    """Return the levels of a check's findings."""
    return {level for level, _ in findings(check, wanted)}


def test_retained_names_are_found_and_adopted() -> None:
    """Each refusal names the parameter that adopts what is there."""
    assert levels("names", deployment()) == {"ok"}
    create_tables(boto3.client("dynamodb"), "recovery")
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="recovery-settings", SecretString="{}")
    boto3.client("sqs").create_queue(QueueName="recovery-reset")
    texts = dict.fromkeys(
        text for level, text in findings("names", deployment()) if level == "fail"
    )
    assert any("ExistingTables=recovery" in text for text in texts)
    assert any("ExistingSecret=yes" in text for text in texts)
    assert any("recovery-reset" in text for text in texts)
    boto3.client("sqs").delete_queue(
        QueueUrl=boto3.client("sqs").get_queue_url(QueueName="recovery-reset")["QueueUrl"]
    )
    adopting = deployment(ExistingTables="recovery", ExistingSecret="yes")
    assert levels("names", adopting) == {"ok"}
    assert levels("names", deployment(ExistingTables="mistyped", ExistingSecret="yes")) == {"fail"}
    secrets.delete_secret(SecretId="recovery-settings")
    assert any("restore-secret" in text for _, text in findings("names", adopting))


def test_the_stack_s_state_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed first try blocks the second; tables without protection are named."""
    assert levels("stack", deployment()) == {"ok"}
    deploy("recovery", TablePrefix="recovery", DeletionProtection="no")
    assert levels("stack", deployment()) == {"ok", "warn"}
    # An existing stack's own names are no obstacle.
    assert findings("names", deployment()) == []
    for status, level in (("ROLLBACK_COMPLETE", "fail"), ("UPDATE_IN_PROGRESS", "fail")):
        found = {"StackStatus": status}
        monkeypatch.setattr(preflight, "_stack", lambda _, found=found: found)
        assert levels("stack", deployment()) == {level}


def test_the_account_s_log_role_is_checked() -> None:
    """Without it the stage cannot be created; a parameter makes it."""
    ((level, text),) = findings("log-role", deployment())
    assert (level, "ApiGatewayLogRole=yes" in text) == ("fail", True)
    assert levels("log-role", deployment(ApiGatewayLogRole="yes")) == {"ok"}
    boto3.client("apigateway").update_account(
        patchOperations=[
            {
                "op": "replace",
                "path": "/cloudwatchRoleArn",
                "value": "arn:aws-cn:iam::123456789012:role/logs",
            }
        ]
    )
    assert levels("log-role", deployment()) == {"ok"}


def test_addresses_are_counted() -> None:
    """A fixed address and a network must fit into the account's quotas."""
    client = boto3.client("ec2")
    assert levels("addresses", deployment()) == {"ok"}
    for _ in range(5):
        client.allocate_address(Domain="vpc")
    assert levels("addresses", deployment()) == {"ok", "fail"}
    assert levels("addresses", deployment(ExistingAddress="eipalloc-1")) == {"ok"}
    assert findings("addresses", deployment(FixedAddress="no")) == []


def test_the_partition_and_the_parameters_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the other partition, and slips in the parameters."""
    assert levels("identity", deployment()) == {"ok"}
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert "fail" in levels("identity", deployment())
    assert findings("parameters", deployment(TablePrefix="recovery")) == []
    assert levels("parameters", deployment(TablePrefx="recovery")) == {"fail"}
    assert levels("parameters", deployment(FixedAddress="ja")) == {"fail"}
    assert levels("parameters", deployment(TablePrefix="Recovery")) == {"fail"}


@pytest.mark.parametrize(
    ("size", "resources", "level", "part"),
    [
        (100, 1, "ok", "100"),
        (60_000, 1, "ok", "--resolve-s3"),
        (1_100_000, 1, "fail", ""),
        (1, 501, "fail", "501"),
    ],
)
def test_the_template_s_size_is_checked(
    tmp_path: Path, size: int, resources: int, level: str, part: str
) -> None:
    """Over 51,200 bytes it must go through S3; over CloudFormation's limits it cannot."""
    body = "Resources:\n" + "".join(f"  R{number}: {{}}\n" for number in range(resources))
    path = tmp_path / "sam.yaml"
    path.write_text(body + "#" * max(size - len(body), 0))
    wanted = preflight.Deployment("recovery", "aws-cn", path, None, {})
    ((found, text),) = findings("package", wanted)
    assert found == level
    assert part in text
    missing = preflight.Deployment("recovery", "aws-cn", tmp_path / "none", None, {})
    assert levels("package", missing) == {"fail"}


def settings_file(tmp_path: Path, **changes: str) -> Path:
    """Write the suite's settings, without the keys that are generated."""
    given = {
        name: value
        for name, value in {**SETTINGS, **changes}.items()
        if name not in first_settings._GENERATED
    }
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(given), "utf-8")
    return path


def test_settings_are_loaded_on_trial(tmp_path: Path) -> None:
    """Faults, misspelt names, and what does not fit the deployment."""
    assert levels("settings", deployment()) == {"warn"}
    assert levels("settings", deployment(settings_file(tmp_path))) == {"ok"}
    for changes in ({"WECHAT_AES_KEY": "short"}, {"SITE_ULR": "x"}, {"SMS_GATEWAYS": "sns"}):
        assert "fail" in levels("settings", deployment(settings_file(tmp_path, **changes)))
    other = deployment(settings_file(tmp_path), DomainName="other.example.org")
    assert "fail" in levels("settings", other)
    # Adopted tables must be stated in the secret, which operators' commands read.
    adopting = deployment(settings_file(tmp_path), ExistingTables="restored")
    assert "fail" in levels("settings", adopting)
    stated = deployment(settings_file(tmp_path, TABLE_PREFIX="restored"), ExistingTables="restored")
    assert levels("settings", stated) == {"ok"}


def test_the_certificate_is_checked() -> None:
    """Requested, of the region, for the domain, and issued."""
    name = "recovery.example.org"
    acm = boto3.client("acm")
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    assert levels("certificate", deployment()) == {"warn"}
    assert levels("certificate", deployment(DomainName=name)) == {"fail"}
    pending = findings("certificate", deployment(DomainName=name, CertificateArn=arn))
    assert [level for level, _ in pending] == ["fail"]
    elsewhere = arn.replace("cn-north-1", "cn-northwest-1")
    found = findings("certificate", deployment(DomainName=name, CertificateArn=elsewhere))
    assert found == [("fail", words.CERTIFICATE_ELSEWHERE)]
    other = findings("certificate", deployment(DomainName="a.b.example", CertificateArn=arn))
    assert "a.b.example" in other[0][1]


def test_what_cannot_be_read_is_a_warning_and_no_identity_ends_the_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator's role may lack a permission to read."""
    checked = dict(preflight.run(deployment()))
    assert checked["concurrency"].level == "warn"
    assert set(checked) >= {"identity", "names", "settings"}
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    assert [(name, found.level) for name, found in preflight.run(deployment())] == [
        ("identity", "fail")
    ]


def test_the_command_s_status_is_that_of_its_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 if something prevents the deployment."""
    runner = CliRunner()
    ran = runner.invoke(preflight.main, ["--template", __file__ + ".none"])
    assert ran.exit_code == 1
    assert "make package" in ran.output

    def fine(_: Any) -> Iterator[preflight.Finding]:
        yield preflight.Finding("warn", "x")

    monkeypatch.setattr(preflight, "CHECKS", {"one": fine})
    assert runner.invoke(preflight.main, ["TablePrefix=other"]).exit_code == 0


def test_the_secret_s_first_value_has_generated_keys(tmp_path: Path) -> None:
    """They are kept in the file, which only its owner reads; an entered secret is not replaced."""
    client = boto3.client("secretsmanager")
    client.create_secret(Name="recovery-settings", SecretString="{}")
    path = settings_file(tmp_path)
    ran = CliRunner().invoke(first_settings.main, [str(path)])
    assert ran.exit_code == 0, ran.output
    written = json.loads(client.get_secret_value(SecretId="recovery-settings")["SecretString"])
    assert written == json.loads(path.read_text("utf-8"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name in first_settings._GENERATED:
        assert len(written[name]) >= 64
        assert written[name] not in ran.output
    assert load({}, json.dumps(written)).table_prefix == "recovery"
    again = CliRunner().invoke(first_settings.main, [str(path)])
    assert again.exit_code == 2
    assert (
        json.loads(client.get_secret_value(SecretId="recovery-settings")["SecretString"]) == written
    )


def test_faulty_settings_are_not_written(tmp_path: Path) -> None:
    """All faults are named, and file and secret stay as they are."""
    client = boto3.client("secretsmanager")
    client.create_secret(Name="recovery-settings", SecretString="{}")
    path = settings_file(tmp_path, WECHAT_AES_KEY="short")
    before = path.read_bytes()
    ran = CliRunner().invoke(first_settings.main, [str(path)])
    assert ran.exit_code == 2
    assert "WECHAT_AES_KEY" in ran.output
    assert path.read_bytes() == before
    path.write_text("[1]")
    assert CliRunner().invoke(first_settings.main, [str(path)]).exit_code == 2
    assert client.get_secret_value(SecretId="recovery-settings")["SecretString"] == "{}"
