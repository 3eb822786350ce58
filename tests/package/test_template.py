"""The packaged template, as made by Chalice and the merge."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
import pytest
import yaml
from botocore.loaders import Loader
from moto import mock_aws

from chalicelib import container, runtime
from chalicelib.handlers import yearly_reset
from chalicelib.handlers.openapi import document, route
from chalicelib.settings import SETTINGS, load
from chalicelib.store import models
from infra.deploy import archive, package
from infra.deploy.package import REGIONS
from tests.conftest import SETTINGS as GIVEN
from tests.conftest import Clock, Phones, World, add_firm
from tests.package import built, translated
from tests.support.api_client import ApiClient

PARTITIONS = sorted(REGIONS)


def test_every_function_is_an_entry_point_of_the_app() -> None:
    """A handler in another module would not import app.py."""
    handlers = {
        name: body["Properties"]["Handler"]
        for name, body in translated.of("AWS::Serverless::Function").items()
    }
    assert handlers == {
        "APIHandler": "app.app",
        "DeskHandler": "app.app",
        "YearlyReset": "app.yearly_reset",
        "ResetAccounts": "app.reset_accounts",
        "SmsReceipts": "app.sms_receipts",
        "Canary": "app.canary",
    }


def test_the_merge_added_no_mistyped_resource() -> None:
    """A mistyped logical name would be a resource without a type; every function has its role."""
    assert all(body.get("Type") for body in built.template()["Resources"].values())
    roles = [
        body["Properties"]["Role"]["Fn::GetAtt"][0]
        for body in translated.of("AWS::Serverless::Function").values()
    ]
    assert len(set(roles)) == len(roles) == 6


def test_the_worker_reports_single_failures_and_has_time() -> None:
    """Partial batches, a visibility of six time-outs, and the worker's number of receives."""
    worker = built.template()["Resources"]["ResetAccounts"]["Properties"]
    source = worker["Events"]["ResetAccountsSqsEventSource"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Queue"] == {"Fn::GetAtt": ["ResetQueue", "Arn"]}
    queue = built.template()["Resources"]["ResetQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == yearly_reset.RECEIVES
    for name in ("YearlyReset", "ResetAccounts"):
        timeout = built.template()["Resources"][name]["Properties"]["Timeout"]
        assert timeout * 1_000 > 2 * yearly_reset._MARGIN


def test_the_desk_has_a_function_and_a_role_of_its_own() -> None:
    """Its paths and no others lead there; its role has the desk's policy alone."""
    resources = built.template()["Resources"]
    for path, methods in resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"].items():
        is_desk = path.startswith("/support")
        for name, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "aws_proxy":
                uri = str(integration["uri"]["Fn::Sub"])
                assert ("/${DeskHandler.Arn}/" in uri) == is_desk, (path, name)
                assert ("APIHandler" in uri) != is_desk, (path, name)
    api, desk = (resources[name]["Properties"] for name in ("APIHandler", "DeskHandler"))
    assert desk["Role"] == {"Fn::GetAtt": ["DeskHandlerRole", "Arn"]}
    released = ("AutoPublishAlias", "AutoPublishAliasAllProperties", "DeploymentPreference")
    assert {**desk, "Role": None} == {
        name: None if name == "Role" else value
        for name, value in api.items()
        if name not in released
    }
    texts = {name: str(resources[f"{name}Role"]) for name in ("ApiHandler", "DeskHandler")}
    assert "index/by-openid" in texts["ApiHandler"]
    for table in ("-desk", "index/by-day"):
        assert table not in texts["ApiHandler"]
        assert table in texts["DeskHandler"]
    assert "index/by-openid" in texts["DeskHandler"]
    permission = resources["DeskHandlerInvokePermission"]["Properties"]
    assert permission["FunctionName"] == {"Ref": "DeskHandler"}
    assert permission["Principal"] == "apigateway.amazonaws.com"


def test_the_schedule_is_midnight_in_beijing_and_nothing_is_lost() -> None:
    """16:00 UTC on 31 December, repeated, and kept after the final failure."""
    function = built.template()["Resources"]["YearlyReset"]["Properties"]
    event = function["Events"]["YearlyResetEvent"]["Properties"]
    assert event["Schedule"] == "cron(0 16 31 12 ? *)"
    assert event["RetryPolicy"]["MaximumRetryAttempts"] == 185
    assert function["DeadLetterQueue"]["TargetArn"] == {
        "Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]
    }


def test_no_function_s_environment_has_a_secret() -> None:
    """Secrets come from the one Secrets Manager secret, which the environment names."""
    secret = {setting.name for setting in SETTINGS if setting.secret}
    for body in translated.of("AWS::Serverless::Function").values():
        variables = body["Properties"]["Environment"]["Variables"]
        assert not secret & set(variables)
        assert variables["SECRETS_ID"] == {"Fn::Sub": "${TablePrefix}-settings"}
        # The secret or its name states the prefix: a published version's environment is fixed.
        assert "TABLE_PREFIX" not in variables
        assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}
    assert (
        translated.of("AWS::SecretsManager::Secret")["SettingsSecret"]["Properties"]["SecretString"]
        == "{}"
    )


def test_tables_are_protected_or_expire() -> None:
    """Durable tables have backups and protection; the others have a TTL."""
    for name, body in translated.of("AWS::DynamoDB::Table").items():
        properties = body["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["SSESpecification"]["SSEEnabled"]
        if name == "EphemeraTable":
            assert properties["TimeToLiveSpecification"] == {
                "AttributeName": "expires_at",
                "Enabled": True,
            }
            continue
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        # By a parameter, since a rolled back creation must be able to delete the new table.
        assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["Protected", True, False]}
        assert body["DeletionPolicy"] == "RetainExceptOnCreate"
        assert body["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_api_is_regional(partition: str) -> None:
    """AWS China has no edge-optimised endpoints."""
    api = translated.of("AWS::Serverless::Api", built.template(partition))["RestAPI"]["Properties"]
    assert api["EndpointConfiguration"] == "REGIONAL"


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_template_has_no_aliases(partition: str) -> None:
    """CloudFormation's YAML has none; `yaml` writes one for each value that occurs twice."""
    text = (built.folder(partition) / "sam.yaml").read_text("utf-8")
    events = list(yaml.parse(text))
    assert len(events) > 1_000
    assert not any(isinstance(event, yaml.AliasEvent) for event in events)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_cfn_lint_finds_nothing(partition: str) -> None:
    """The template is valid CloudFormation of its partition."""
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("cfn-lint"),
            built.folder(partition) / "sam.yaml",
            *("--regions", REGIONS[partition]),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("partition", PARTITIONS)
def test_it_translates_and_names_the_stacks_own_tables(partition: str) -> None:
    """SAM's own translator accepts it, and no policy has a fixed table prefix."""
    made = translated.template(partition)
    for role in translated.of("AWS::IAM::Role", made).values():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert "recovery-" not in str(statement["Resource"])
                # Those of the tables, which may be an earlier stack's, name these tables' prefix.
                for resource in _listed(statement["Resource"]):
                    if ":table/" in str(resource):
                        assert resource["Fn::Sub"][1]["Tables"]["Fn::If"][0] == "OwnTables"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_access_log_has_no_query_and_no_secret_path() -> None:
    """It has the route instead of the path, since vendors' addresses end in a secret."""
    api = translated.of("AWS::Serverless::Api")["RestAPI"]["Properties"]
    said = set(re.findall(r"\$context\.([\w.]+)", api["AccessLogSetting"]["Format"]))
    assert "resourcePath" in said
    assert not said & {"path", "querystring", "customDomain.basePathMatched"}
    json.loads(re.sub(r"\$context\.[\w.]+", "0", api["AccessLogSetting"]["Format"]))


def test_a_fixed_address_is_an_option() -> None:
    """Every function is in the network if there is one, as there is by default."""
    for body in translated.of("AWS::Serverless::Function").values():
        condition, network, otherwise = body["Properties"]["VpcConfig"]["Fn::If"]
        assert condition == "WithFixedAddress"
        assert network["SubnetIds"]
        assert otherwise == {"Ref": "AWS::NoValue"}
    # WeChat serves only addresses on its whitelist; the address outlives the stack.
    assert built.template()["Parameters"]["FixedAddress"]["Default"] == "yes"
    address = built.template()["Resources"]["Address"]
    assert address["DeletionPolicy"] == "RetainExceptOnCreate"
    nat = built.template()["Resources"]["Nat"]["Properties"]["AllocationId"]
    assert nat["Fn::If"][2] == {"Ref": "ExistingAddress"}


def test_logs_are_kept_for_more_than_190_days() -> None:
    """Every function has a log group with a retention, which outlives the stack."""
    groups = translated.of("AWS::Logs::LogGroup")
    for name in ("APIHandlerLog", "AccessLog"):
        assert groups[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    for name in translated.of("AWS::Serverless::Function"):
        assert groups[f"{name}Log"]["Properties"]["RetentionInDays"] >= 190
        assert groups[f"{name}Log"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_a_recovery_runs_on_cloudformation_s_tables() -> None:
    """CloudFormation makes the tables under another prefix."""
    made = translated.template("aws-cn")
    kinds = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SNS::Topic")
    kept = {name: body for name, body in made["Resources"].items() if body["Type"] in kinds}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": made["Parameters"],
        "Conditions": made["Conditions"],
        "Resources": kept,
    }

    with mock_aws(), runtime.using(None):
        boto3.client("cloudformation").create_stack(
            StackName="stack",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "TablePrefix", "ParameterValue": "other"}],
        )
        client = boto3.client("dynamodb")
        names = {model.Meta.table_name.rpartition("-")[2] for model in models.DURABLE}
        assert set(client.list_tables()["TableNames"]) == {
            f"other-{name}" for name in {*names, "ephemera"}
        }
        phones = Phones()
        service = container.Service(
            load({**GIVEN, "TABLE_PREFIX": "other"}), clock=Clock(), gateways={"console": phones}
        )
        runtime.install(service)
        add_firm(service.hasher)
        world = World(service, service.clock, phones, ApiClient())  # type: ignore[arg-type]
        token = world.token()
        world.send(token)
        assert world.confirm(token, phones.codes[0]).status_code == 200


def test_a_missing_wheel_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chalice only warns of it; the function could not start."""

    def warned(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        said = "Could not install dependencies:\nargon2-cffi-bindings==25.1.0\n"
        return subprocess.CompletedProcess([], 0, said, "")

    monkeypatch.setattr(subprocess, "run", warned)
    with pytest.raises(SystemExit, match="not built"):
        package.build(tmp_path)


def test_the_zip_holds_byte_code_and_only_used_services() -> None:
    """Every module is compiled for Lambda's own folder, with unchecked byte code."""
    with zipfile.ZipFile(built.folder() / "deployment.zip") as package:
        names = set(package.namelist())
        sources = {name for name in names if name.endswith(".py")}
        tag = sys.implementation.cache_tag
        compiled = {
            str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")
            for path in map(PurePosixPath, sources)
        }
        assert sources
        assert compiled <= names
        code = package.read(f"chalicelib/__pycache__/container.{tag}.pyc")
        # PEP 552: by hash, and not checked against the source.
        assert int.from_bytes(code[4:8], "little") == 0b01
        assert b"/var/task/chalicelib/container.py" in code
    described = {name.split("/")[2] for name in names if name.startswith("botocore/data/")}
    assert {name for name in described if "." not in name} == archive.SERVICES
    # Operators' file work and the libraries that it needs are not part of the service.
    packed = {name.partition("/")[0] for name in names}
    assert {"app.py", "chalicelib", "pynamodb"} <= packed
    assert not packed & {"infra", "click", "defusedxml", "openpyxl", "rich"}


def test_the_zip_holds_the_api_s_description() -> None:
    """Once, beside its route; no build leaves it in the checkout."""
    name = route.PACKAGED.relative_to(built.ROOT).as_posix()
    with zipfile.ZipFile(built.folder() / "deployment.zip") as package:
        assert package.namelist().count(name) == 1
        assert json.loads(package.read(name)) == document.document()
    assert not route.PACKAGED.exists()


def test_only_prose_is_missing_from_the_descriptions(tmp_path: Path) -> None:
    """The operations, shapes and endpoint rules of each used service are botocore's own.

    A member that happens to be called `documentation` stays.
    """
    with zipfile.ZipFile(built.folder() / "deployment.zip") as package:
        package.extractall(
            tmp_path, [name for name in package.namelist() if name.startswith("botocore/data/")]
        )
    stripped = Loader(
        extra_search_paths=[str(tmp_path / "botocore" / "data")], include_default_search_paths=False
    )
    whole = Loader()
    for service in archive.SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            left = stripped.load_service_model(service, kind)
            assert left == archive.without_prose(whole.load_service_model(service, kind))
            assert not any("documentation" in found for found in _strings_by_name(left))
    member = {"members": {"documentation": {"shape": "S", "documentation": "<p>Prose</p>"}}}
    assert archive.without_prose(member) == {"members": {"documentation": {"shape": "S"}}}


def _strings_by_name(described: Any) -> Iterator[str]:
    """Yield the names of all strings in a description."""
    if isinstance(described, dict):
        for name, value in described.items():
            if isinstance(value, str):
                yield name
            yield from _strings_by_name(value)
    elif isinstance(described, list):
        for value in described:
            yield from _strings_by_name(value)


def test_the_same_content_packs_to_the_same_file(tmp_path: Path) -> None:
    """A deployment without changes changes nothing; a module that cannot be compiled stops it."""
    content = {
        "app.py": "x = 1\n",
        "botocore/data/sqs/2012-11-05/service-2.json": '{"documentation": "<p>Prose</p>"}',
        "botocore/data/sqs/2012-11-05/examples-1.json": "{}",
        "botocore/data/s3/2006-03-01/service-2.json": "{}",
    }

    def finished(year: int) -> Path:
        path = tmp_path / f"{year}.zip"
        with zipfile.ZipFile(path, "w") as made:
            for name, text in content.items():
                made.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
        archive.finish(path)
        return path

    assert finished(2026).read_bytes() == finished(2027).read_bytes()
    with zipfile.ZipFile(finished(2026)) as package:
        names = package.namelist()
        (kept,) = [name for name in names if name.startswith("botocore/data/")]
        assert kept == "botocore/data/sqs/2012-11-05/service-2.json"
        assert package.read(kept) == b"{}"
    content["app.py"] = "x = \n"
    with pytest.raises(SystemExit):
        finished(2028)
