"""Chinese texts of audit events and limits, for the operators' commands and the support desk."""

from __future__ import annotations

LOCKS = {
    "starts": "同一微信或网络一小时内开始找回的次数（不影响他人）",
    "login-sends": "同一微信或网络一天内为该账号发送验证码的次数（不影响他人）",
    "destination-sends": "手机或微信接收验证码的次数",
    "resend-pause": "两次获取验证码之间的间隔（正常）",
    "wrong-codes": "同一微信或网络一天内输错该账号验证码的次数（不影响他人）",
    "login-wrong-codes": "所有人一天内输错该账号验证码的次数",
    "code-tries": "同一微信或网络对当前验证码的输错次数（重新获取验证码即可）",
    "wrong-details": "同一微信或网络一天内填写解绑信息的次数（不影响他人）",
    "unbindings": "一天内解绑公众号的次数",
    "wrong-passwords": "登录密码输错的次数",
    "service-sends": "全部账号一小时内发送验证码的总量",
    "service-wrong-codes": "全部账号一小时内输错验证码的总量",
    "service-wrong-passwords": "全部账号一小时内输错登录密码的总量",
}

GATEWAYS = {"wechat-template": "微信模板消息", "wechat-pull": "公众号菜单领取"}

OUTCOMES = {
    "handed-over": "已交网关",
    "sent": "已发送",
    "unknown": "没有答复",
    "failed": "未发出",
    "refused": "被拒绝",
    "password-set": "已设置初始密码",
    "wechat-bound": "已绑定微信",
    "first-phone": "首次绑定",
    "matches": "一致",
    "differs": "不一致",
    "approval_no": "批准文号",
    "head_name": "主任会计师",
    "head_id_last4": "身份证后四位",
}


def outcome_text(outcome: str | None) -> str:
    """Return an event's outcome, or its several ones with commas, in Chinese; empty for None."""
    words = (outcome or "").split(",")
    if all(word in OUTCOMES for word in words):
        return "、".join(OUTCOMES[word] for word in words)
    return outcome or ""


REPLACED = "原为$phone"

RECEIPTS = {"delivered": "已送达", "failed": "未送达"}

REASONS = {"user block": "用户拒收公众号消息", "system failed": "微信系统原因"}

EVENTS = {
    "code-sent": "发送验证码",
    "password-recovered": "找回密码",
    "wechat-unbound": "解绑微信",
    "phone-changed": "变更手机号",
    "unlocked": "清除限制",
    "enrolled": "导入账号",
    "enrolment-updated": "导入更新",
    "yearly-reset": "年度重置",
    "code-wrong": "验证码错误",
    "details-wrong": "解绑信息不符",
    "frozen": "冻结账号",
    "frozen-by-owner": "本人冻结",
    "unfrozen": "解除冻结",
    "firm-closed": "注销会计师事务所",
    "firm-reopened": "恢复已注销的会计师事务所",
    "phone-proposed": "申请变更手机号",
    "phone-code-sent": "向新手机发送验证码",
    "phone-approved": "批准变更手机号",
    "phone-rejected": "驳回变更手机号",
    "facts-corrected": "更正登记信息",
    "break-glass": "应急变更手机号（未经复核）",
    "phone-change-undone": "撤销变更手机号",
    "identity-checked": "核验身份",
    "exported": "导出信息",
    "search-index-rebuilt": "重建查找索引",
    "desk-viewed": "查看账号",
    "desk-requester": "查看请求方",
    "desk-find": "查找",
    "desk-audit": "查看操作记录",
    "desk-today": "查看当日概况",
    "desk-proposals": "查看申请",
}

REFUSED = "超限拒绝：$limit"

REPEATED = "$count次，首次$first"

ACTORS = {"person": "本人", "local": "本机环境", "yearly-reset": "年度重置", "schedule": "定时任务"}
