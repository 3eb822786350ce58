"""The packaged template, as made by Chalice and the merge."""

from __future__ import annotations

import copy
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
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from chalicelib import container, runtime
from chalicelib.handlers import yearly_reset
from chalicelib.handlers.openapi import document, route
from chalicelib.settings import SETTINGS, load
from chalicelib.store import models
from infra.deploy import archive, monitoring, package
from infra.deploy.package import REGIONS
from tests.conftest import SETTINGS as GIVEN
from tests.conftest import Clock, Phones, World, add_firm
from tests.package import built
from tests.support.api_client import ApiClient

PARTITIONS = sorted(REGIONS)


def _of(kind: str, template: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    resources = (template or built.template())["Resources"]
    return {name: body for name, body in resources.items() if body["Type"] == kind}


def _translated(partition: str) -> dict[str, Any]:
    return _translated_template(built.template(partition), partition)


def _translated_template(template: dict[str, Any], partition: str) -> dict[str, Any]:
    session = boto3.Session(region_name=REGIONS[partition])
    fragment = copy.deepcopy(template)
    for function in _of("AWS::Serverless::Function", fragment).values():
        # The place in S3 that `aws cloudformation package` would put the zip.
        function["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "deployment.zip"}
    translator = Translator({}, Parser(), boto_session=session)
    made: dict[str, Any] = translator.translate(fragment, {})
    return made


def test_every_function_is_an_entry_point_of_the_app() -> None:
    """A handler in another module would not import app.py."""
    handlers = {
        name: body["Properties"]["Handler"]
        for name, body in _of("AWS::Serverless::Function").items()
    }
    assert handlers == {
        "APIHandler": "app.app",
        "YearlyReset": "app.yearly_reset",
        "ResetAccounts": "app.reset_accounts",
        "SmsReceipts": "app.sms_receipts",
    }


def test_the_merge_added_no_mistyped_resource() -> None:
    """A mistyped logical name would be a resource without a type; every function has its role."""
    assert all(body.get("Type") for body in built.template()["Resources"].values())
    roles = [
        body["Properties"]["Role"]["Fn::GetAtt"][0]
        for body in _of("AWS::Serverless::Function").values()
    ]
    assert len(set(roles)) == len(roles) == 4


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
    for body in _of("AWS::Serverless::Function").values():
        variables = body["Properties"]["Environment"]["Variables"]
        assert not secret & set(variables)
        assert variables["SECRETS_ID"] == {"Fn::Sub": "${TablePrefix}-settings"}
        # The secret or its name states the prefix: a published version's environment is fixed.
        assert "TABLE_PREFIX" not in variables
        assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}
    assert (
        _of("AWS::SecretsManager::Secret")["SettingsSecret"]["Properties"]["SecretString"] == "{}"
    )


def test_tables_are_protected_or_expire() -> None:
    """Durable tables have backups and protection; the others have a TTL."""
    for name, body in _of("AWS::DynamoDB::Table").items():
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
    api = _of("AWS::Serverless::Api", built.template(partition))["RestAPI"]["Properties"]
    assert api["EndpointConfiguration"] == "REGIONAL"


@pytest.mark.parametrize("partition", PARTITIONS)
def test_there_is_one_stage_with_every_protection(partition: str) -> None:
    """SAM's second stage would have no firewall, no access log and no throttle."""
    made = _translated(partition)
    ((name, stage),) = _of("AWS::ApiGateway::Stage", made).items()
    properties = stage["Properties"]
    assert properties["StageName"] == "prod"
    assert properties["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": ["AccessLog", "Arn"]}
    (settings,) = properties["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"]
    (deployment,) = _of("AWS::ApiGateway::Deployment", made).values()
    assert "StageName" not in deployment["Properties"]
    (association,) = _of("AWS::WAFv2::WebACLAssociation", made).values()
    assert association["Properties"]["ResourceArn"]["Fn::Sub"].endswith(f"/stages/${{{name}}}")


def test_only_the_stage_may_invoke_the_function() -> None:
    """A stage that somebody adds reaches nothing."""
    (permission,) = (
        body["Properties"]
        for body in _of("AWS::Lambda::Permission", _translated("aws-cn")).values()
        if body["Properties"]["Principal"] == "apigateway.amazonaws.com"
    )
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${RestAPI}/prod/*")


def test_a_domain_switches_the_default_endpoint_off() -> None:
    """The switch, and a stage's value that changes with it, so that API Gateway applies it."""
    made = _translated("aws-cn")
    (api,) = _of("AWS::ApiGateway::RestApi", made).values()
    endpoint = api["Properties"]["Body"]["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint == {"disableExecuteApiEndpoint": {"Fn::If": ["WithDomain", True, False]}}
    ((name, stage),) = _of("AWS::ApiGateway::Stage", made).items()
    assert {"Ref": "DomainName"} in stage["Properties"]["Variables"]["domain"]["Fn::If"]
    mapping = made["Resources"]["DomainMapping"]
    assert (mapping["Condition"], mapping["Properties"]["Stage"]) == ("WithDomain", {"Ref": name})
    assert "BasePath" not in mapping["Properties"]
    assert "EndpointURL" not in made["Outputs"]


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
    made = _translated(partition)
    for role in _of("AWS::IAM::Role", made).values():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert "recovery-" not in str(statement["Resource"])
                # Those of the tables, which may be an earlier stack's, name these tables' prefix.
                for resource in _listed(statement["Resource"]):
                    if ":table/" in str(resource):
                        assert resource["Fn::Sub"][1]["Tables"]["Fn::If"][0] == "OwnTables"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_alarm_reaches_operators() -> None:
    """Each alarm notifies the topic; each dead-letter queue and each function has an alarm."""
    alarms = _of("AWS::CloudWatch::Alarm")
    for actions in ("AlarmActions", "OKActions"):
        assert all(body["Properties"][actions] == [{"Ref": "OpsTopic"}] for body in alarms.values())
    watched = str([metric for body in alarms.values() for metric in measured(body)])
    for name in ("APIHandler", "YearlyReset", "ResetAccounts", "SmsReceipts"):
        assert f"{{'Ref': '{name}'}}" in watched
    for name in ("ResetDeadLetters", "ScheduleDeadLetters", "ResetQueue"):
        assert name in watched


def measured(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics of an alarm: its own, or those of its expression."""
    properties = alarm["Properties"]
    if "MetricName" in properties:
        return [properties]
    return [
        metric["MetricStat"]["Metric"] for metric in properties["Metrics"] if "MetricStat" in metric
    ]


def test_every_alarm_names_its_runbook_and_its_threshold_s_reason() -> None:
    """In Chinese, with the heading's anchor; one event needs no reason."""
    for name, body in _of("AWS::CloudWatch::Alarm").items():
        text = body["Properties"]["AlarmDescription"]["Fn::Sub"]
        assert text.endswith(f"处理办法：${{RunbookUrl}}#{name.lower()}")
        assert re.search(r"[\u4e00-\u9fff]{4}", text.partition("。")[0])
        assert len(text) < 800
        assert (body["Properties"]["Threshold"] != 0) == ("阈值的理由：" in text)


def test_every_expression_has_its_metrics() -> None:
    """CloudWatch: at most ten metrics; ids start with a lower-case letter and are unique."""
    calculated = 0
    for body in _of("AWS::CloudWatch::Alarm").values():
        metrics = body["Properties"].get("Metrics", [])
        ids = [metric["Id"] for metric in metrics]
        assert len(ids) == len(set(ids)) <= 10
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", name) for name in ids)
        assert sum(metric["ReturnData"] for metric in metrics) == bool(metrics)
        for metric in metrics:
            if "Expression" in metric:
                used = set(re.findall(r"[a-z]\w*", metric["Expression"]))
                assert used == set(ids) - {metric["Id"]}
                calculated += 1
    assert calculated == 6


def test_the_schedule_s_failures_are_seen() -> None:
    """Both rules keep what they could not deliver, and the queue accepts it from them alone."""
    made = _translated("aws-cn")
    dead = {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}
    rules = _of("AWS::Events::Rule", made)
    assert {body["Properties"]["ScheduleExpression"] for body in rules.values()} == {
        "cron(0 16 31 12 ? *)",
        "cron(0 17 31 12 ? *)",
    }
    for body in rules.values():
        (target,) = body["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": dead}
    (policy,) = _of("AWS::SQS::QueuePolicy", made).values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"] == dead
    sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert {source["Fn::GetAtt"][0] for source in sources} == set(rules)
    alarm = made["Resources"]["ScheduleFailed"]["Properties"]["Dimensions"]
    assert alarm[0]["Value"]["Ref"] in rules


def test_the_api_and_the_firewall_are_named_after_the_stack() -> None:
    """CloudWatch's metrics have their names, which two stacks of an account may not share."""
    made = _translated("aws-cn")
    (api,) = _of("AWS::ApiGateway::RestApi", made).values()
    assert api["Properties"]["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
    visibility = made["Resources"]["Firewall"]["Properties"]["VisibilityConfig"]
    assert visibility["MetricName"] == {"Ref": "AWS::StackName"}


def test_the_api_is_called_through_its_alias() -> None:
    """By every route, with a permission for the alias alone."""
    made = _translated("aws-cn")
    ((name, alias),) = _of("AWS::Lambda::Alias", made).items()
    assert alias["Properties"]["FunctionName"] == {"Ref": "APIHandler"}
    (api,) = _of("AWS::ApiGateway::RestApi", made).values()
    methods = [
        method for path in api["Properties"]["Body"]["paths"].values() for method in path.values()
    ]
    assert len(methods) > 15
    for method in methods:
        uri, values = method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        assert values == {"Alias": {"Ref": name}}
        assert uri.endswith("/functions/${Alias}/invocations")
    (permission,) = (
        body["Properties"]
        for body in _of("AWS::Lambda::Permission", made).values()
        if body["Properties"]["Principal"] == "apigateway.amazonaws.com"
    )
    assert permission["FunctionName"] == {"Ref": name}


def test_a_release_returns_on_an_alarm() -> None:
    """CodeDeploy moves the alias in portions, and back where one of these alarms is raised."""
    made = _translated("aws-cn")
    (group,) = _of("AWS::CodeDeploy::DeploymentGroup", made).values()
    properties = group["Properties"]
    default = made["Parameters"]["Release"]["Default"]
    assert properties["DeploymentConfigName"] == {"Fn::Sub": f"CodeDeployDefault.{default}"}
    assert "Canary" in default
    assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    alarms = {alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]}
    assert {"APIHandlerErrors", "ApiServerErrors"} <= alarms
    assert alarms <= set(_of("AWS::CloudWatch::Alarm", made))
    (alias,) = _of("AWS::Lambda::Alias", made).values()
    assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


def test_a_changed_environment_is_a_new_version() -> None:
    """Otherwise the alias would keep the previous one."""

    def versions(template: dict[str, Any]) -> set[str]:
        return set(_of("AWS::Lambda::Version", template))

    before = _translated("aws-cn")
    changed = copy.deepcopy(built.template("aws-cn"))
    variables = changed["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]
    variables["WECHAT_PLAIN"] = "0"
    after = _translated_template(changed, "aws-cn")
    assert len(versions(before) | versions(after)) == 2


def test_initialised_instances_are_of_the_season_alone() -> None:
    """From New Year to the end of April, in Beijing's time; none by default."""
    template = built.template()
    assert template["Parameters"]["ProvisionedConcurrency"]["Default"] == 0
    target = template["Resources"]["SeasonTarget"]
    assert target["Condition"] == "WithProvisionedConcurrency"
    begins, ends = target["Properties"]["ScheduledActions"]
    assert {begins["Timezone"], ends["Timezone"]} == {"Asia/Shanghai"}
    assert begins["Schedule"] == "cron(30 23 31 12 ? *)"
    assert begins["ScalableTargetAction"]["MinCapacity"] == {"Ref": "ProvisionedConcurrency"}
    assert ends["Schedule"] == "cron(0 0 1 5 ? *)"
    assert ends["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}


def test_traces_are_an_option() -> None:
    """Of the API and every function, whose role may then write them."""
    made = _translated("aws-cn")
    (stage,) = _of("AWS::ApiGateway::Stage", made).values()
    assert stage["Properties"]["TracingEnabled"] == {"Fn::If": ["WithTracing", True, False]}
    for body in _of("AWS::Lambda::Function", made).values():
        mode = body["Properties"]["TracingConfig"]["Mode"]
        assert mode == {"Fn::If": ["WithTracing", "Active", "PassThrough"]}
        role = made["Resources"][body["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
        conditions = {policy["Fn::If"][0] for policy in role["ManagedPolicyArns"]}
        assert conditions == {"WithFixedAddress", "WithTracing"}


def test_every_figure_is_of_this_stack_alone() -> None:
    """Alarms and graphs of the service's own metrics name the stack; others name its resources."""
    stack = {"Name": "stack", "Value": {"Ref": "AWS::StackName"}}
    metrics = [
        metric for body in _of("AWS::CloudWatch::Alarm").values() for metric in measured(body)
    ]
    own = [metric for metric in metrics if metric["Namespace"] == monitoring.OWN]
    assert own
    assert all(stack in metric["Dimensions"] for metric in own)
    assert all(metric["Dimensions"] for metric in metrics)
    figures = [figure for _, metrics in dashboard() for figure in metrics]
    assert figures
    for figure in figures:
        if isinstance(figure[0], dict) and "SEARCH" not in figure[0]["expression"]:
            assert set(re.findall(r"[a-z]+", figure[0]["expression"])) == {"first", "second"}
        elif isinstance(figure[0], dict):
            assert 'stack="${AWS::StackName}"' in figure[0]["expression"]
            assert "LoginRecovery,stack," in figure[0]["expression"]
        elif figure[0] == monitoring.OWN:
            assert figure[2:4] == ["stack", "${AWS::StackName}"]
        else:
            assert "${" in figure[3]
    # Dashboards are of the account, in all its regions.
    (body,) = _of("AWS::CloudWatch::Dashboard").values()
    assert body["Properties"]["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


def dashboard() -> list[tuple[str, list[Any]]]:
    """Return the title and metrics of each graph."""
    (body,) = _of("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(body["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
    graphs = [each["properties"] for each in widgets if each["type"] == "metric"]
    return [(graph["title"], graph["metrics"]) for graph in graphs]


def test_the_dashboard_s_ids_are_valid() -> None:
    """CloudWatch: a lower-case letter, then letters, digits and underscores; unique in a graph."""
    found = []
    for _, metrics in dashboard():
        ids = [part["id"] for figure in metrics for part in figure if "id" in dict_or_none(part)]
        assert len(ids) == len(set(ids))
        found += ids
    assert found
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", name) for name in found)


def dict_or_none(part: Any) -> dict[str, Any]:
    """Return the options of a metric; a part that is none has none."""
    return part if isinstance(part, dict) else {}


def test_every_alarm_has_a_runbook() -> None:
    """The operators' handbook names it."""
    handbook = (package.ROOT / "docs" / "operations.zh-CN.md").read_text("utf-8")
    for name in _of("AWS::CloudWatch::Alarm"):
        assert f"\n### {name}\n" in handbook


def test_every_alarm_word_in_the_code_has_an_alarm() -> None:
    """The table has no other words."""
    watched = {
        metric.dimensions["alarm"]
        for alarm in monitoring.ALARMS
        for metric in alarm.metrics
        if metric.name == "Alarm"
    }
    budgets = {"sends", "wrong-codes", "wrong-passwords", "unknown-logins"}
    budgets |= {"unbindings"}
    words = {f"budget-{name}{half}" for name in budgets for half in ("", "-half")}
    words |= {"budget-sends-hard", "budget-unbindings-hard"}
    for path in (package.ROOT / "chalicelib").rglob("*.py"):
        text = path.read_text("utf-8")
        words |= set(re.findall(r'"alarm": "([a-z0-9-]+)"', text))
    words |= {f"wechat-{code}" for code in (40164, 45009, 48001, 40037, 47003)}
    assert words == watched


def test_the_access_log_has_no_query_and_no_secret_path() -> None:
    """It has the route instead of the path, since vendors' addresses end in a secret."""
    api = _of("AWS::Serverless::Api")["RestAPI"]["Properties"]
    said = set(re.findall(r"\$context\.([\w.]+)", api["AccessLogSetting"]["Format"]))
    assert "resourcePath" in said
    assert not said & {"path", "querystring", "customDomain.basePathMatched"}
    json.loads(re.sub(r"\$context\.[\w.]+", "0", api["AccessLogSetting"]["Format"]))


def test_a_fixed_address_is_an_option() -> None:
    """Every function is in the network if there is one, as there is by default."""
    for body in _of("AWS::Serverless::Function").values():
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
    groups = _of("AWS::Logs::LogGroup")
    for name in ("APIHandlerLog", "AccessLog"):
        assert groups[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    for name in _of("AWS::Serverless::Function"):
        assert groups[f"{name}Log"]["Properties"]["RetentionInDays"] >= 190
        assert groups[f"{name}Log"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_a_recovery_runs_on_cloudformation_s_tables() -> None:
    """CloudFormation makes the tables under another prefix."""
    made = _translated("aws-cn")
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
