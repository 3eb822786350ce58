"""Alarms and the dashboard, as CloudFormation resources."""

from __future__ import annotations

import json
from typing import Any

from infra.deploy.alarms import ALARMS, FUNCTIONS, OWN, Alarm, Metric

__all__ = ["ALARMS", "OWN", "resources"]


def resources() -> dict[str, Any]:
    """Return the CloudFormation resources of all alarms and of the dashboard, by logical name."""
    declared = {alarm.name: _alarm(alarm) for alarm in ALARMS}
    declared["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            # Dashboards have one name for all regions of an account.
            "DashboardName": {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"},
            "DashboardBody": {"Fn::Sub": json.dumps(_dashboard(), ensure_ascii=False)},
        },
    }
    return declared


def _alarm(alarm: Alarm) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": {"Fn::Sub": _description(alarm)},
            **(_calculated(alarm) if alarm.expression else _measured(alarm)),
            "EvaluationPeriods": alarm.evaluations,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            "TreatMissingData": alarm.missing,
            "AlarmActions": [{"Ref": "OpsTopic"}],
            "OKActions": [{"Ref": "OpsTopic"}],
        },
    }
    if alarm.condition:
        declared["Condition"] = alarm.condition
        # cfn-lint checks the empty default of a parameter that the condition requires.
        declared["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["W1030"]}}}
    return declared


def _description(alarm: Alarm) -> str:
    """Return what happened, why the threshold is what it is, and where the runbook is."""
    reason = f"阈值的理由：{alarm.reason}。" if alarm.reason else ""
    return f"{alarm.about}{reason}处理办法：${{RunbookUrl}}#{alarm.name.lower()}"


def _measured(alarm: Alarm) -> dict[str, Any]:
    (metric,) = alarm.metrics
    key = "ExtendedStatistic" if metric.statistic.startswith("p") else "Statistic"
    return {**_metric(metric), key: metric.statistic, "Period": alarm.period}


def _calculated(alarm: Alarm) -> dict[str, Any]:
    measured = [
        {
            "Id": metric.id,
            "MetricStat": {
                "Metric": _metric(metric),
                "Period": alarm.period,
                "Stat": metric.statistic,
            },
            "ReturnData": False,
        }
        for metric in alarm.metrics
    ]
    result = {"Id": "result", "Expression": alarm.expression, "ReturnData": True}
    return {"Metrics": [*measured, result]}


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
    }


def _search(metric: str, by: str) -> list[Any]:
    found = f'{{{OWN},stack,{by}}} MetricName="{metric}" stack="${{AWS::StackName}}"'
    # An id is a lower-case letter and then letters, digits or underscores.
    return [{"expression": f"SEARCH('{found}', 'Sum', 300)", "id": metric.lower()}]


def _own(name: str, **dimensions: str) -> list[Any]:
    pairs = [part for pair in dimensions.items() for part in pair]
    return [OWN, name, "stack", "${AWS::StackName}", *pairs]


def _ratio(first: str, second: str, label: str) -> list[Any]:
    """Return the metrics of a quotient, hidden, and the quotient in percent."""
    return [
        [*_own(first), {"id": "first", "visible": False}],
        [*_own(second), {"id": "second", "visible": False}],
        [{"expression": "100*first/second", "id": "ratio", "label": label}],
    ]


# The graphs of the SLOs come first; docs/operations.md defines them.
_GRAPHS: list[tuple[str, list[Any]]] = [
    (
        "SLO：99.9%的请求在5秒内（毫秒）",
        [["AWS/Lambda", "Duration", "FunctionName", "${APIHandler}", {"stat": "p99.9"}]],
    ),
    (
        "SLO：完成的找回占开始的百分比",
        _ratio("RecoveryCompleted", "RecoveryStarted", "completed/started"),
    ),
    ("SLO：验证码的发送结果", [_search("CodeSent", "gateway,outcome")]),
    (
        "找回",
        [_own(name) for name in ("RecoveryStarted", "RecoveryCompleted", "CodeWrong", "Unbound")],
    ),
    ("模拟找回的耗时（毫秒）", [_own("CanaryMilliseconds")]),
    ("短信回执", [_own("SmsReceipt", outcome=outcome) for outcome in ("delivered", "failed")]),
    ("因限制而拒绝", [_search("RefusedByLimit", "limit")]),
    ("微信事件", [_search("CallbackEvent", "event")]),
    ("读不出的回执", [_search("ReceiptSkipped", "gateway")]),
    ("登录密码验证", [_search("PasswordVerified", "outcome")]),
    ("年度重置（账号数）", [_search("ResetProgress", "outcome")]),
    ("告警", [_search("Alarm", "alarm")]),
    (
        "函数错误",
        [["AWS/Lambda", "Errors", "FunctionName", f"${{{name}}}"] for name in FUNCTIONS],
    ),
    (
        "API耗时（毫秒）",
        [
            ["AWS/Lambda", "Duration", "FunctionName", "${APIHandler}", {"stat": stat}]
            for stat in ("p50", "p99")
        ],
    ),
    (
        "API答复",
        [
            ["AWS/ApiGateway", name, "ApiName", "${AWS::StackName}", "Stage", "prod"]
            for name in ("Count", "4XXError", "5XXError")
        ],
    ),
]


def _dashboard() -> dict[str, Any]:
    return {
        "widgets": [
            {
                "type": "metric",
                "width": 8,
                "height": 6,
                "x": 8 * (number % 3),
                "y": 6 * (number // 3),
                "properties": {
                    "title": title,
                    "region": "${AWS::Region}",
                    "stat": "Sum",
                    "period": 300,
                    "metrics": metrics,
                },
            }
            for number, (title, metrics) in enumerate(_GRAPHS)
        ]
    }
