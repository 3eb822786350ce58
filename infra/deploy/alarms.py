"""The table of alarms, with the operators' texts.

AWS's metrics have the names of its documentation. Those of the namespace `LoginRecovery` are emitted
by `chalicelib.telemetry.metrics`; its metric `Alarm` counts log lines that operators must look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OWN = "LoginRecovery"

BREAK_GLASS = "BreakGlass"
"""The metric of phones that an operator changed without a second pair of eyes, by `infra.ops`."""

BREAK_GLASS_DIMENSION = "tables"
"""The prefix of the tables: the operators' commands have it, and not the stack's name."""

FUNCTIONS = ("APIHandler", "DeskHandler", "YearlyReset", "ResetAccounts", "SmsReceipts", "Canary")

TABLES = (
    "FirmsTable",
    "LoginsTable",
    "FollowersTable",
    "AuditTable",
    "RunsTable",
    "DeskTable",
    "EphemeraTable",
)

Value = Any

# The dimension that keeps the figures of an account's stacks apart, as in telemetry.metrics.
STACK: dict[str, Value] = {"stack": {"Ref": "AWS::StackName"}}


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch; `id` is its name in an alarm's expression."""

    namespace: str
    name: str
    dimensions: dict[str, Value] = field(default_factory=dict)
    statistic: str = "Sum"
    id: str = "m"


@dataclass(frozen=True)
class Alarm:
    """Notifies operators when the metric exceeds `threshold` within a period, in seconds.

    With an expression, its value is compared. `reason` says why the threshold is what it is; one
    event is the threshold otherwise. `below` compares the other way round.
    """

    name: str
    about: str
    metrics: tuple[Metric, ...]
    expression: str = ""
    threshold: float = 0
    period: int = 300
    evaluations: int = 1
    reason: str = ""
    below: bool = False
    condition: str = ""
    missing: str = "notBreaching"
    """What a period without data is, as CloudWatch names it."""


def one(name: str, about: str, metric: Metric, **options: Any) -> Alarm:
    """Return an alarm on one metric."""
    return Alarm(name, about, (metric,), **options)


def own(name: str, about: str, label: str, **options: Any) -> Alarm:
    """Return an alarm on log lines with a value of `alarm`."""
    return one(name, about, Metric(OWN, "Alarm", {**STACK, "alarm": label}), **options)


def _function(name: str) -> dict[str, Value]:
    return {"FunctionName": {"Ref": name}}


def _queue(name: str) -> dict[str, Value]:
    return {"QueueName": {"Fn::GetAtt": [name, "QueueName"]}}


# Of the tables in use, which may be an earlier stack's.
_PREFIX = {"Fn::If": ["OwnTables", {"Ref": "TablePrefix"}, {"Ref": "ExistingTables"}]}


def table(suffix: str) -> dict[str, Value]:
    """Return the dimension of a table, which may be an earlier stack's."""
    return {"TableName": {"Fn::Sub": [f"${{Tables}}-{suffix}", {"Tables": _PREFIX}]}}


def _throttles(metric: str) -> tuple[Metric, ...]:
    names = [name.removesuffix("Table").lower() for name in TABLES]
    return tuple(Metric("AWS/DynamoDB", metric, table(name), id=name) for name in names)


def _system_errors() -> tuple[Metric, ...]:
    return tuple(
        Metric(
            "AWS/DynamoDB",
            "SystemErrors",
            {**table(name), "Operation": operation},
            id=f"{name}{operation}",
        )
        for name in ("logins", "ephemera")
        for operation in ("GetItem", "UpdateItem", "TransactWriteItems")
    )


def _filled_sum(metrics: tuple[Metric, ...]) -> str:
    return "+".join(f"FILL({metric.id},0)" for metric in metrics)


_API = {"ApiName": {"Ref": "AWS::StackName"}, "Stage": "prod"}
_READS = _throttles("ReadThrottleEvents")
_WRITES = _throttles("WriteThrottleEvents")
_SYSTEM_ERRORS = _system_errors()
_STARTED = Metric(OWN, "RecoveryStarted", STACK, id="started")
_COMPLETED = Metric(OWN, "RecoveryCompleted", STACK, id="completed")
_DELIVERED = Metric(OWN, "SmsReceipt", {**STACK, "outcome": "delivered"}, id="delivered")
_UNDELIVERED = Metric(OWN, "SmsReceipt", {**STACK, "outcome": "failed"}, id="undelivered")

ALARMS = (
    *(
        one(
            f"{name}Errors",
            f"函数{name}异常结束或超时。",
            Metric("AWS/Lambda", "Errors", _function(name)),
        )
        for name in FUNCTIONS
    ),
    one(
        "APIHandlerThrottles",
        "Lambda并发不足，请求被拒绝。",
        Metric("AWS/Lambda", "Throttles", _function("APIHandler")),
    ),
    one(
        "APIHandlerSlow",
        "百分之一的请求超过5秒。",
        Metric("AWS/Lambda", "Duration", _function("APIHandler"), "p99"),
        threshold=5_000,
        reason="微信等待回复5秒后放弃",
    ),
    one(
        "ApiServerErrors",
        "用户收到5xx答复。",
        Metric("AWS/ApiGateway", "5XXError", _API),
        threshold=5,
        reason="单个失败用户可以重试；五分钟内超过5次是持续的故障",
    ),
    one(
        "LoginPageBlocked",
        "登录系统的服务器被WAF限速，所有用户无法登录。",
        Metric(
            "AWS/WAFV2",
            "BlockedRequests",
            {
                "WebACL": {"Ref": "AWS::StackName"},
                "Region": {"Ref": "AWS::Region"},
                "Rule": "logins",
            },
        ),
    ),
    Alarm(
        "StoreReadsThrottled",
        "DynamoDB读取被限流。",
        _READS,
        _filled_sum(_READS),
    ),
    Alarm(
        "StoreWritesThrottled",
        "DynamoDB写入被限流。",
        _WRITES,
        _filled_sum(_WRITES),
    ),
    Alarm(
        "StoreSystemErrors",
        "DynamoDB内部错误。",
        _SYSTEM_ERRORS,
        _filled_sum(_SYSTEM_ERRORS),
        threshold=5,
        reason="单个错误由程序重试；五分钟内超过5次是DynamoDB的故障",
    ),
    one(
        "CertificateExpiring",
        "域名证书将在30天内到期。",
        Metric(
            "AWS/CertificateManager",
            "DaysToExpiry",
            {"CertificateArn": {"Ref": "CertificateArn"}},
            "Minimum",
        ),
        threshold=30,
        period=86_400,
        below=True,
        reason="ACM在到期前60天自动续期；剩30天仍未续期，说明验证记录已失效",
        condition="WithDomain",
    ),
    one(
        "CanaryFailing",
        "模拟找回（测试会计师事务所，每10分钟一次）连续两次失败或没有运行。",
        Metric(OWN, "CanarySucceeded", STACK),
        threshold=1,
        period=600,
        evaluations=2,
        below=True,
        reason="单次失败多为网络抖动；连续两次没有成功，说明用户也无法找回",
        condition="WithCanary",
        missing="breaching",
    ),
    Alarm(
        "NoTraffic",
        "工作日9时至18时，连续两小时没有人开始找回。",
        (_STARTED,),
        # The hour and the day are in UTC: 1 to 10 is 9 to 18 in Beijing.
        "IF(HOUR(FILL(started,0))>=1 AND HOUR(FILL(started,0))<10 AND DAY(FILL(started,0))<6,"
        "FILL(started,0),1)",
        threshold=1,
        period=3_600,
        evaluations=2,
        below=True,
        reason="近一万家会计师事务所，工作时间内两小时无人找回极少见；多为域名、证书或公众号故障",
    ),
    Alarm(
        "FewCompleted",
        "一小时内开始的找回完成不到一半。",
        (_STARTED, _COMPLETED),
        "IF(FILL(started,0)>=20,FILL(completed,0)/started,1)",
        threshold=0.5,
        period=3_600,
        below=True,
        reason="平时完成率约八成（见SLO）；少于20次时偶然的放弃就会改变比例",
    ),
    Alarm(
        "SmsUndelivered",
        "一小时内五分之一以上的短信没有送达手机。",
        (_DELIVERED, _UNDELIVERED),
        "IF(FILL(delivered,0)+FILL(undelivered,0)>=20,"
        "FILL(undelivered,0)/(FILL(delivered,0)+FILL(undelivered,0)),0)",
        threshold=0.2,
        period=3_600,
        reason="关机、停机的手机约占几个百分点；五分之一说明签名、模板或运营商有问题",
    ),
    one(
        "ScheduleFailed",
        "定时任务没有能调用年度重置。",
        Metric(
            "AWS/Events", "FailedInvocations", {"RuleName": {"Ref": "YearlyResetYearlyResetEvent"}}
        ),
    ),
    one(
        "ResetDeadLettersFilled",
        "年度重置有分组多次处理失败。",
        Metric(
            "AWS/SQS", "ApproximateNumberOfMessagesVisible", _queue("ResetDeadLetters"), "Maximum"
        ),
    ),
    one(
        "ScheduleDeadLettersFilled",
        "年度重置的定时事件没有处理成。",
        Metric(
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            _queue("ScheduleDeadLetters"),
            "Maximum",
        ),
    ),
    one(
        "ResetUnfinished",
        "年度重置有分组等待了一小时。",
        Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", _queue("ResetQueue"), "Maximum"),
        threshold=3_600,
        reason="失败的消息12分钟后重来，最多五次，合计一小时",
    ),
    own("ResetLate", "1月1日凌晨1时，年度重置没有开始或没有结束。", "reset-late"),
    own("SendsHalfUsed", "一小时内发送的验证码超过总量上限的一半。", "budget-sends-half"),
    own("SendsUsedUp", "本小时验证码总量用尽：只发给新访客，且计算题更难。", "budget-sends"),
    own("SmsEnded", "本小时不再发送任何短信。", "budget-sends-hard"),
    own("WrongCodesHalfUsed", "输错验证码的总量异常。", "budget-wrong-codes-half"),
    own("WrongCodesUsedUp", "本小时只接受新访客的验证码，且计算题更难。", "budget-wrong-codes"),
    own("UnbindingsHalfUsed", "解绑公众号的次数异常多。", "budget-unbindings-half"),
    own("UnbindingsUsedUp", "解绑公众号的次数极多：只接受新访客的解绑。", "budget-unbindings"),
    own("UnbindingsEnded", "本小时不再接受解绑。", "budget-unbindings-hard"),
    own("RequesterManyLogins", "一名访客为很多账号开始找回。", "requester-logins"),
    own("WrongPasswordsHalfUsed", "错误的登录密码异常多。", "budget-wrong-passwords-half"),
    own("WrongPasswordsUsedUp", "本小时拒绝仍用默认密码的账号。", "budget-wrong-passwords"),
    own("UnknownLoginsHalfUsed", "不存在的账号异常多。", "budget-unknown-logins-half"),
    own("UnknownLoginsUsedUp", "不存在的账号极多。", "budget-unknown-logins"),
    own("WeChatAddressRefused", "微信返回40164：出口地址不在白名单。", "wechat-40164"),
    own("WeChatQuotaUsedUp", "微信返回45009：当天调用次数用尽。", "wechat-45009"),
    own("WeChatUnauthorised", "微信返回48001：没有接口权限。", "wechat-48001"),
    own("WeChatTemplateUnknown", "微信返回40037：模板编号不对。", "wechat-40037"),
    own("WeChatTemplateMisfit", "微信返回47003：模板字段不符。", "wechat-47003"),
    own(
        "DeliveryFailing",
        "没有任何短信网关接收。",
        "delivery-failed",
        threshold=5,
        reason="单个失败用户可以重试；五分钟内超过5次是服务商故障或余额用尽",
    ),
    own(
        "DependencyDown",
        "DynamoDB、微信或Secrets Manager没有答复。",
        "unavailable",
        threshold=5,
        reason="单个失败用户可以重试；五分钟内超过5次是持续的故障",
    ),
    own("CallbackFailing", "微信的消息没有处理成。", "callback"),
    one(
        "BreakGlass",
        "运维人员未经第二人复核，变更了手机号。",
        Metric(OWN, BREAK_GLASS, {BREAK_GLASS_DIMENSION: _PREFIX}),
    ),
    own("ResetBegunEarly", "有人在当年之前启动了年度重置。", "reset-early"),
    own("Unexpected", "没有预料到的错误。", "unexpected"),
    own("SettingsWrong", "设置缺失或格式不对。", "settings"),
    own("ReceiptsUnreadable", "SNS的送达日志读不懂。", "receipts"),
)
