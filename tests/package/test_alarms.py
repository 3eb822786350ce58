"""Alarms, the dashboard and traces in the packaged template."""

from __future__ import annotations

import json
import re
from typing import Any

from infra.deploy import alarms, monitoring, package
from tests.package import translated


def test_every_alarm_reaches_operators() -> None:
    """Each alarm notifies the topic; each dead-letter queue and each function has an alarm."""
    alarms = translated.of("AWS::CloudWatch::Alarm")
    for actions in ("AlarmActions", "OKActions"):
        assert all(body["Properties"][actions] == [{"Ref": "OpsTopic"}] for body in alarms.values())
    watched = str([metric for body in alarms.values() for metric in measured(body)])
    for name in ("APIHandler", "YearlyReset", "ResetAccounts", "SmsReceipts", "Canary"):
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
    for name, body in translated.of("AWS::CloudWatch::Alarm").items():
        text = body["Properties"]["AlarmDescription"]["Fn::Sub"]
        assert text.endswith(f"处理办法：${{RunbookUrl}}#{name.lower()}")
        assert re.search(r"[\u4e00-\u9fff]{4}", text.partition("。")[0])
        assert len(text) < 800
        assert (body["Properties"]["Threshold"] != 0) == ("阈值的理由：" in text)


def test_every_expression_has_its_metrics() -> None:
    """CloudWatch: at most ten metrics; ids start with a lower-case letter and are unique."""
    calculated = 0
    for body in translated.of("AWS::CloudWatch::Alarm").values():
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
    made = translated.template("aws-cn")
    dead = {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}
    rules = translated.of("AWS::Events::Rule", made)
    # The canary's events are not kept: the next one comes in ten minutes.
    canary = rules.pop("CanaryCanaryRun")
    (target,) = canary["Properties"]["Targets"]
    assert "DeadLetterConfig" not in target
    assert {body["Properties"]["ScheduleExpression"] for body in rules.values()} == {
        "cron(0 16 31 12 ? *)",
        "cron(0 17 31 12 ? *)",
    }
    for body in rules.values():
        (target,) = body["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": dead}
    (policy,) = translated.of("AWS::SQS::QueuePolicy", made).values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"] == dead
    sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert {source["Fn::GetAtt"][0] for source in sources} == set(rules)
    alarm = made["Resources"]["ScheduleFailed"]["Properties"]["Dimensions"]
    assert alarm[0]["Value"]["Ref"] in rules


def test_the_canary_is_missed_when_it_does_not_come() -> None:
    """Every ten minutes; two periods without a success raise the alarm, and so do two without a run."""
    made = translated.template("aws-cn")
    rule = made["Resources"]["CanaryCanaryRun"]["Properties"]
    assert rule["ScheduleExpression"] == "rate(10 minutes)"
    assert rule["State"] == {"Fn::If": ["WithCanary", "ENABLED", "DISABLED"]}
    body = made["Resources"]["CanaryFailing"]
    assert body["Condition"] == "WithCanary"
    alarm = body["Properties"]
    assert (alarm["MetricName"], alarm["Period"], alarm["EvaluationPeriods"]) == (
        "CanarySucceeded",
        600,
        2,
    )
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    others = {
        name: each["Properties"]["TreatMissingData"]
        for name, each in translated.of("AWS::CloudWatch::Alarm", made).items()
        if name != "CanaryFailing"
    }
    assert set(others.values()) == {"notBreaching"}
    config = translated.of("AWS::Lambda::EventInvokeConfig", made)["CanaryEventInvokeConfig"]
    assert config["Properties"]["MaximumRetryAttempts"] == 0
    parameters = made["Parameters"]["RunCanary"]
    assert parameters["Default"] == "yes"


def test_the_api_and_the_firewall_are_named_after_the_stack() -> None:
    """CloudWatch's metrics have their names, which two stacks of an account may not share."""
    made = translated.template("aws-cn")
    (api,) = translated.of("AWS::ApiGateway::RestApi", made).values()
    assert api["Properties"]["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
    visibility = made["Resources"]["Firewall"]["Properties"]["VisibilityConfig"]
    assert visibility["MetricName"] == {"Ref": "AWS::StackName"}


def test_every_figure_is_of_this_stack_alone() -> None:
    """Alarms and graphs of the service's own metrics name the stack; others name its resources."""
    stack = {"Name": "stack", "Value": {"Ref": "AWS::StackName"}}
    metrics = [
        metric
        for body in translated.of("AWS::CloudWatch::Alarm").values()
        for metric in measured(body)
    ]
    own = [metric for metric in metrics if metric["Namespace"] == monitoring.OWN]
    assert own
    # The operators' commands have the prefix of the stack's tables, and not its name.
    by_prefix = [metric for metric in own if metric["MetricName"] == alarms.BREAK_GLASS]
    assert [metric["Dimensions"][0]["Name"] for metric in by_prefix] == ["tables"]
    assert "TablePrefix" in str(by_prefix)
    own = [metric for metric in own if metric not in by_prefix]
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
    (body,) = translated.of("AWS::CloudWatch::Dashboard").values()
    assert body["Properties"]["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


def dashboard() -> list[tuple[str, list[Any]]]:
    """Return the title and metrics of each graph."""
    (body,) = translated.of("AWS::CloudWatch::Dashboard").values()
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
    for name in translated.of("AWS::CloudWatch::Alarm"):
        assert f"\n### {name}\n" in handbook


def test_every_alarm_word_in_the_code_has_an_alarm() -> None:
    """The table has no other words."""
    watched = {
        metric.dimensions["alarm"]
        for alarm in monitoring.ALARMS
        for metric in alarm.metrics
        if metric.name == "Alarm"
    }
    budgets = {"sends", "wrong-codes", "unbindings", "wrong-passwords", "unknown-logins"}
    words = {f"budget-{name}{half}" for name in budgets for half in ("", "-half")}
    words |= {"budget-sends-hard", "budget-unbindings-hard"}
    for path in (package.ROOT / "chalicelib").rglob("*.py"):
        text = path.read_text("utf-8")
        words |= set(re.findall(r'"alarm": "([a-z0-9-]+)"', text))
    words |= {f"wechat-{code}" for code in (40164, 45009, 48001, 40037, 47003)}
    assert words == watched


def test_traces_are_an_option() -> None:
    """Of the API and every function, whose role may then write them."""
    made = translated.template("aws-cn")
    (stage,) = translated.of("AWS::ApiGateway::Stage", made).values()
    assert stage["Properties"]["TracingEnabled"] == {"Fn::If": ["WithTracing", True, False]}
    for body in translated.of("AWS::Lambda::Function", made).values():
        mode = body["Properties"]["TracingConfig"]["Mode"]
        assert mode == {"Fn::If": ["WithTracing", "Active", "PassThrough"]}
        role = made["Resources"][body["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
        conditions = {policy["Fn::If"][0] for policy in role["ManagedPolicyArns"]}
        assert conditions == {"WithFixedAddress", "WithTracing"}
