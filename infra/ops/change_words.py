"""Chinese texts of the operators' commands that change what is stored about firms."""

from __future__ import annotations

CLOSE = "注销会计师事务所：两个登录账号立即停用，到期后清除所存信息。"
CLOSE_MORE = """停用后不能找回密码，也不能登录，正在进行的找回立即失效，并通知当事人。
FIRM_ERASURE_DAYS（默认30）天后，手机号、主任会计师、身份证后四位、批准文号、微信绑定和密码被清除，
操作记录保留；在此之前可用 --undo 恢复。导入文件中仍有已注销的会计师事务所时，该行被拒绝。"""
CLOSE_UNDO = "恢复已注销的会计师事务所，手机号、微信绑定和密码与注销前相同"
CLOSED = "$firm_no 已注销，$erased 清除所存信息；此前可用 close $firm_no --undo 恢复。"
CLOSED_BEFORE = "$firm_no 已于 $closed 注销，没有变化；$erased 清除所存信息。"
REOPENED = "$firm_no 已恢复。"
NOT_CLOSED = "$firm_no 没有注销，没有变化。"
NOT_INDEXED = "查找索引没有更新，请再执行一次同一命令。"

LACKING = (
    "文件中没有的会计师事务所 $count 家：$some\n"
    "导入不会停用它们；确已注销的请逐家执行 close（--json 列出全部）。"
)
LACKING_UNKNOWN = "没有能核对文件中缺少哪些会计师事务所（DynamoDB没有答复），可重新导入同一文件。"

SECOND_EYES = "复核人自己的AWS profile；其身份须与操作者不同。不写即为应急操作，单独留痕并告警"
SAME_IDENTITY = "profile $profile 就是操作者自己的身份，须由另一人复核。没有做任何修改。"
FOREIGN_IDENTITY = "profile $profile 属于另一个AWS账号，不能复核。没有做任何修改。"
ALARM_FAILED = (
    "没有复核人的变更须先发出告警，但CloudWatch没有接收（$what）。没有做任何修改；"
    "请授予cloudwatch:PutMetricData，或加 --second-pair-of-eyes。"
)
APPROVED_BY = "复核人：$approver。"
UNAPPROVED = "应急操作：没有复核人，已告警。"
