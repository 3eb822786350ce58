"""The API's one stage, its domain, and how a release takes over."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.deploy.package import REGIONS
from tests.package import built, translated

PARTITIONS = sorted(REGIONS)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_there_is_one_stage_with_every_protection(partition: str) -> None:
    """SAM's second stage would have no firewall, no access log and no throttle."""
    made = translated.template(partition)
    ((name, stage),) = translated.of("AWS::ApiGateway::Stage", made).items()
    properties = stage["Properties"]
    assert properties["StageName"] == "prod"
    assert properties["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": ["AccessLog", "Arn"]}
    (settings,) = properties["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"]
    (deployment,) = translated.of("AWS::ApiGateway::Deployment", made).values()
    assert "StageName" not in deployment["Properties"]
    (association,) = translated.of("AWS::WAFv2::WebACLAssociation", made).values()
    assert association["Properties"]["ResourceArn"]["Fn::Sub"].endswith(f"/stages/${{{name}}}")


def test_only_the_stage_may_invoke_the_function() -> None:
    """A stage that somebody adds reaches nothing."""
    permissions = [
        body["Properties"]
        for body in translated.of("AWS::Lambda::Permission", translated.template("aws-cn")).values()
        if body["Properties"]["Principal"] == "apigateway.amazonaws.com"
    ]
    assert len(permissions) == 2
    for permission in permissions:
        assert permission["SourceArn"]["Fn::Sub"].endswith(":${RestAPI}/prod/*")


def test_a_domain_switches_the_default_endpoint_off() -> None:
    """The switch, and a stage's value that changes with it, so that API Gateway applies it."""
    made = translated.template("aws-cn")
    (api,) = translated.of("AWS::ApiGateway::RestApi", made).values()
    endpoint = api["Properties"]["Body"]["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint == {"disableExecuteApiEndpoint": {"Fn::If": ["WithDomain", True, False]}}
    ((name, stage),) = translated.of("AWS::ApiGateway::Stage", made).items()
    assert {"Ref": "DomainName"} in stage["Properties"]["Variables"]["domain"]["Fn::If"]
    mapping = made["Resources"]["DomainMapping"]
    assert (mapping["Condition"], mapping["Properties"]["Stage"]) == ("WithDomain", {"Ref": name})
    assert "BasePath" not in mapping["Properties"]
    assert "EndpointURL" not in made["Outputs"]


def test_the_api_is_called_through_its_alias() -> None:
    """By every route but the desk's, with a permission for the alias alone."""
    made = translated.template("aws-cn")
    ((name, alias),) = translated.of("AWS::Lambda::Alias", made).items()
    assert alias["Properties"]["FunctionName"] == {"Ref": "APIHandler"}
    (api,) = translated.of("AWS::ApiGateway::RestApi", made).values()
    methods = [
        method
        for path, methods in api["Properties"]["Body"]["paths"].items()
        if not path.startswith("/support")
        for method in methods.values()
    ]
    assert len(methods) > 12
    for method in methods:
        uri, values = method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        assert values == {"Alias": {"Ref": name}}
        assert uri.endswith("/functions/${Alias}/invocations")
    functions = [
        body["Properties"]["FunctionName"]
        for body in translated.of("AWS::Lambda::Permission", made).values()
        if body["Properties"]["Principal"] == "apigateway.amazonaws.com"
    ]
    assert functions == [{"Ref": name}, {"Ref": "DeskHandler"}]


def test_a_release_returns_on_an_alarm() -> None:
    """CodeDeploy moves the alias in portions, and back where one of these alarms is raised."""
    made = translated.template("aws-cn")
    (group,) = translated.of("AWS::CodeDeploy::DeploymentGroup", made).values()
    properties = group["Properties"]
    default = made["Parameters"]["Release"]["Default"]
    assert properties["DeploymentConfigName"] == {"Fn::Sub": f"CodeDeployDefault.{default}"}
    assert "Canary" in default
    assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    alarms = {alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]}
    assert {"APIHandlerErrors", "ApiServerErrors"} <= alarms
    assert alarms <= set(translated.of("AWS::CloudWatch::Alarm", made))
    (alias,) = translated.of("AWS::Lambda::Alias", made).values()
    assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


def test_a_changed_environment_is_a_new_version() -> None:
    """Otherwise the alias would keep the previous one."""

    def versions(template: dict[str, Any]) -> set[str]:
        return set(translated.of("AWS::Lambda::Version", template))

    before = translated.template("aws-cn")
    changed = copy.deepcopy(built.template("aws-cn"))
    variables = changed["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]
    variables["WECHAT_PLAIN"] = "0"
    after = translated.of_template(changed, "aws-cn")
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
