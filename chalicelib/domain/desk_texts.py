"""Chinese texts of the support desk: why no code came, and what to say to the caller.

The keys are those of `services.diagnosis.Finding`, and `default-password`. `$name` is a placeholder.
"""

from __future__ import annotations

WHY: dict[str, str] = {
    "closed": "该会计师事务所已于$closed注销，账号已停用，所存信息$erased清除。",
    "frozen": "账号已于$frozen冻结，不能找回密码，也不能登录。",
    "no-way": "账号没有绑定手机号，也没有绑定微信，验证码无处可发。",
    "not-following": "绑定的微信没有关注公众号，收不到验证码。",
    "following-unknown": "暂时查不到绑定的微信是否仍关注公众号。",
    "locked": "“$lock”已达上限，$until自动解除。",
    "locked-until-later": "“$lock”已达上限，$until自动解除，不能人工清除。",
    "never-sent": "没有向该账号发送过验证码：来电人没有点击“获取验证码”，或操作的是另一个账号。",
    "not-delivered": "最近一次验证码（$time，$gateway，$to）没有送达：$reason。",
    "send-failed": "最近一次验证码（$time，$to）没有发出：$reason。",
    "to-be-fetched": "最近一次验证码（$time）要在公众号菜单“获取验证码”领取，不会自动推送。",
    "delivered": "最近一次验证码（$time，$gateway，$to）已经送达。",
    "outcome-unknown": "最近一次验证码（$time，$gateway，$to）没有得到网关的答复，可能没有送达。",
    "no-receipt": "最近一次验证码（$time，$gateway，$to）已交给网关，还没有送达回执。",
    "no-password": "账号没有密码，须先找回密码才能登录。",
    "default-password": "该账号现在是$year年度的默认密码，不能直接登录，须先找回密码。",
}

SAY: dict[str, str] = {
    "closed": "贵所已登记为注销，账号已停用。如是误办，请在$erased之前提供主管部门的证明，我转运维人员恢复。",
    "frozen": "您的账号为安全起见已冻结。请由本人核实身份，核实后由主管解除冻结。",
    "no-way": "您的账号还没有绑定手机号。我先核对几项登记信息，再为您提交绑定手机号的申请。",
    "not-following": "请用绑定的微信关注公众号后再试；如已不用该微信，请在页面上点击“解绑公众号”，改用手机短信。",
    "following-unknown": "请先确认绑定的微信仍关注公众号，再获取一次验证码。",
    "locked": "您尝试的次数较多，系统暂停了操作。可以等到$until，也可以由我现在为您清除限制。",
    "locked-until-later": "请到$until以后再试；如果是当前验证码输错，请重新获取验证码。",
    "never-sent": "请在找回密码页面输入账号$login，点击“获取验证码”，我在这里看是否发出。",
    "not-delivered": "短信没有送到$to。请检查手机是否停机、关机或拦截短信，再获取一次；号码已不用的，我为您申请更换。",
    "send-failed": "刚才的验证码没有发出，这不计入次数，请现在再获取一次。",
    "to-be-fetched": "请打开公众号，点击菜单“获取验证码”，验证码会在对话里回复。",
    "delivered": "验证码已送达$to，5分钟内有效。请查看该手机或微信；号码已不用的，我为您申请更换。",
    "outcome-unknown": "请等一分钟，没有收到就再获取一次。",
    "no-receipt": "验证码已发往$to，请稍等一分钟；没有收到就再获取一次。",
    "no-password": "请在登录页面点击“忘记密码”，按提示设置密码。",
    "default-password": "财务上报账号每年1月1日会重置。请在登录页面点击“忘记密码”，收到验证码后设置新密码即可登录。",
}

WECHAT = "绑定的微信"
NO_REASON = "网关没有说明原因"

CSV_COLUMNS = ("时间", "人员", "账号", "事件", "去向", "结果", "原因", "请求编号")
