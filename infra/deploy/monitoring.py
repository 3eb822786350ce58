"""Alarms and the dashboard, as CloudFormation resources.

AWS's metrics have the names of its documentation. Those of the namespace `LoginRecovery` are emitted
by `chalicelib.telemetry.metrics`; its metric `Alarm` counts log lines that operators must look at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

OWN = "LoginRecovery"

FUNCTIONS = ("APIHandler", "YearlyReset", "ResetAccounts", "SmsReceipts")

Value = Any

# The dimension that keeps the figures of an account's stacks apart, as in telemetry.metrics.
_STACK: dict[str, Value] = {"stack": {"Ref": "AWS::StackName"}}


@dataclass(frozen=True)
class Alarm:
    """Notifies operators when the metric exceeds `threshold` within a period, in seconds."""

    name: str
    description: str
    namespace: str
    metric: str
    dimensions: dict[str, Value] = field(default_factory=dict)
    statistic: str = "Sum"
    threshold: int = 0
    period: int = 300


def _function(name: str) -> dict[str, Value]:
    return {"FunctionName": {"Ref": name}}


def _queue(name: str) -> dict[str, Value]:
    return {"QueueName": {"Fn::GetAtt": [name, "QueueName"]}}


def _own(name: str, description: str, label: str, threshold: int = 0) -> Alarm:
    return Alarm(name, description, OWN, "Alarm", {**_STACK, "alarm": label}, threshold=threshold)


ALARMS = (
    *(
        Alarm(
            f"{name}Errors",
            f"{name} ended by an exception or a time-out.",
            "AWS/Lambda",
            "Errors",
            _function(name),
        )
        for name in FUNCTIONS
    ),
    Alarm(
        "APIHandlerThrottles",
        "Requests were refused: the concurrency limit is reached.",
        "AWS/Lambda",
        "Throttles",
        _function("APIHandler"),
    ),
    Alarm(
        "APIHandlerSlow",
        "One request in a hundred takes over five seconds, after which WeChat gives up.",
        "AWS/Lambda",
        "Duration",
        _function("APIHandler"),
        "p99",
        5_000,
    ),
    Alarm(
        "ResetDeadLettersFilled",
        "Chunks of the yearly reset failed for good.",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        _queue("ResetDeadLetters"),
        "Maximum",
    ),
    Alarm(
        "ScheduleDeadLettersFilled",
        "The yearly reset was not started.",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        _queue("ScheduleDeadLetters"),
        "Maximum",
    ),
    Alarm(
        "ResetUnfinished",
        "A chunk of the yearly reset has waited for an hour.",
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        _queue("ResetQueue"),
        "Maximum",
        3_600,
    ),
    _own("SendsHalfUsed", "Half of the hour's codes are sent.", "budget-sends-half"),
    _own("SendsUsedUp", "Codes go to fresh visitors only, and starts are harder.", "budget-sends"),
    _own("WrongCodesHalfUsed", "Many wrong codes; a spray?", "budget-wrong-codes-half"),
    _own(
        "WrongCodesUsedUp",
        "Fresh visitors alone try codes, and starts are harder.",
        "budget-wrong-codes",
    ),
    _own("UnbindingsHalfUsed", "Many WeChats are unbound.", "budget-unbindings-half"),
    _own("UnbindingsUsedUp", "Very many WeChats are unbound.", "budget-unbindings"),
    _own("UnbindingsEnded", "Nobody can unbind this hour.", "budget-unbindings-hard"),
    _own("SmsEnded", "No more SMS are sent this hour.", "budget-sends-hard"),
    _own("RequesterManyLogins", "One visitor starts many logins.", "requester-logins"),
    _own("WrongPasswordsHalfUsed", "Many wrong passwords.", "budget-wrong-passwords-half"),
    _own(
        "WrongPasswordsUsedUp", "Default passwords are refused this hour.", "budget-wrong-passwords"
    ),
    _own("UnknownLoginsHalfUsed", "Many unknown logins.", "budget-unknown-logins-half"),
    _own("UnknownLoginsUsedUp", "Very many unknown logins.", "budget-unknown-logins"),
    _own("WeChatAddressRefused", "40164: not on the whitelist.", "wechat-40164"),
    _own("WeChatQuotaUsedUp", "45009: the day's calls are used up.", "wechat-45009"),
    _own("WeChatUnauthorised", "48001: the interface is not granted.", "wechat-48001"),
    _own("WeChatTemplateUnknown", "40037: no such template.", "wechat-40037"),
    _own("WeChatTemplateMisfit", "47003: the template's fields differ.", "wechat-47003"),
    _own("DeliveryFailing", "No gateway accepts SMS.", "delivery-failed", 5),
    _own("DependencyDown", "A store or platform does not respond.", "unavailable", 5),
    _own("CallbackFailing", "Callbacks of WeChat fail.", "callback"),
    _own("ResetBegunEarly", "A yearly reset began before its year.", "reset-early"),
    _own("Unexpected", "An unexpected exception.", "unexpected"),
    _own("SettingsWrong", "The settings are invalid.", "settings"),
    _own("ReceiptsUnreadable", "Delivery logs cannot be read.", "receipts"),
)


def resources() -> dict[str, Any]:
    """Return the CloudFormation resources of all alarms and of the dashboard, by logical name."""
    declared = {alarm.name: _alarm(alarm) for alarm in ALARMS}
    declared["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            # Dashboards have one name for all regions of an account.
            "DashboardName": {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"},
            "DashboardBody": {"Fn::Sub": json.dumps(_dashboard())},
        },
    }
    return declared


def _alarm(alarm: Alarm) -> dict[str, Any]:
    statistic_key = "ExtendedStatistic" if alarm.statistic.startswith("p") else "Statistic"
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": alarm.description,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "Dimensions": [
                {"Name": name, "Value": value} for name, value in alarm.dimensions.items()
            ],
            statistic_key: alarm.statistic,
            "Period": alarm.period,
            "EvaluationPeriods": 1,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "OpsTopic"}],
        },
    }


def _search(metric: str, by: str) -> list[Any]:
    found = f'{{{OWN},stack,{by}}} MetricName="{metric}" stack="${{AWS::StackName}}"'
    # An id is a lower-case letter and then letters, digits or underscores.
    return [{"expression": f"SEARCH('{found}', 'Sum', 300)", "id": metric.lower()}]


def _dashboard() -> dict[str, Any]:
    graphs: list[tuple[str, list[Any]]] = [
        (
            "Recoveries",
            [
                [OWN, name, "stack", "${AWS::StackName}"]
                for name in ("RecoveryStarted", "RecoveryCompleted", "CodeWrong", "Unbound")
            ],
        ),
        ("Codes sent", [_search("CodeSent", "gateway,outcome")]),
        ("Refused by a limit", [_search("RefusedByLimit", "limit")]),
        ("WeChat's events", [_search("CallbackEvent", "event")]),
        ("Receipts skipped", [_search("ReceiptSkipped", "gateway")]),
        ("Passwords verified", [_search("PasswordVerified", "outcome")]),
        ("Yearly reset, logins", [_search("ResetProgress", "outcome")]),
        ("Alarms", [_search("Alarm", "alarm")]),
        (
            "Errors",
            [["AWS/Lambda", "Errors", "FunctionName", f"${{{name}}}"] for name in FUNCTIONS],
        ),
        (
            "API, milliseconds",
            [
                ["AWS/Lambda", "Duration", "FunctionName", "${APIHandler}", {"stat": stat}]
                for stat in ("p50", "p99")
            ],
        ),
    ]
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
            for number, (title, metrics) in enumerate(graphs)
        ]
    }
