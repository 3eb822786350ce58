"""The Chinese texts that the service sends to people: errors, SMS, WeChat messages, notices.

The texts of the web pages are part of the pages in `chalicelib/web`. `$name` is a placeholder that
`fill` replaces.
"""

from __future__ import annotations

from string import Template

ACCOUNT_NAME = "中国注册会计师协会行业管理系统"
SUPPORT = "010-88250337/0338"

PHONE_NOT_BOUND = "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"

# Title (short, without placeholders) and detail (a sentence) of each error, by its code.
PROBLEMS: dict[str, tuple[str, str]] = {
    "invalid-input": ("输入有误", "$reason"),
    "proof-invalid": ("安全校验未通过", "安全校验已失效，请重试。"),
    "account-not-found": ("账号不存在", "没有查询到该登录账号，请核对后重新输入。"),
    "phone-not-bound": ("未绑定手机号", PHONE_NOT_BOUND),
    "not-following": (
        "未关注公众号",
        f"绑定的微信尚未关注或已取消关注“{ACCOUNT_NAME}”公众号，收不到验证码。"
        "请用该微信关注后再试，或解绑公众号后改用手机短信验证。",
    ),
    "frozen": ("账号已冻结", f"该账号为安全起见已冻结，如需恢复请联系技术支持{SUPPORT}。"),
    "freeze-link-invalid": (
        "链接已失效",
        "冻结链接自收到通知起七天内有效；账号绑定了其他微信或解除过冻结后，之前的链接也会失效。"
        f"如需冻结账号请联系技术支持{SUPPORT}。",
    ),
    "weak-password": ("密码不符合要求", "$reasons"),
    "code-wrong": ("验证码错误", "$sentence"),
    "code-expired": ("验证码已失效", "$sentence请重新获取验证码。"),
    "too-many-attempts": ("错误次数过多", "错误次数过多，$wait"),
    "too-many-requests": ("操作过于频繁", "操作过于频繁，$wait"),
    "details-do-not-match": (
        "信息校验未通过",
        "填写的信息与登记信息不一致，请核对会计师事务所编号、成立批准文号和"
        "主任会计师/首席合伙人后重新填写。$sentence",
    ),
    "recovery-expired": ("操作已超时", "本次找回密码操作已失效，请返回第一步重新开始。"),
    "delivery-failed": (
        "验证码发送失败",
        f"验证码没有发送成功，请再试一次；如多次失败请联系{SUPPORT}。",
    ),
    "sign-in": ("请登录", "您尚未登录客服工作台，或登录已超过8小时，请重新登录。"),
    "role": ("权限不足", "您的角色不能执行此操作，请由有权限的同事办理。"),
    "own-proposal": ("须由他人审批", "不能审批自己提交的申请，请由另一位同事审批。"),
    "identity-not-checked": (
        "须先核验身份",
        "请先核验来电人身份；核验通过后一小时内可以提交变更申请。",
    ),
    "proposal-not-found": ("申请不存在", "没有查询到该申请。"),
    "proposal-closed": (
        "申请已变化",
        "该申请已办结、已过期，或账号在此期间有变动，请刷新后查看。",
    ),
    "unavailable": ("服务暂时不可用", "服务暂时不可用，您的操作没有生效，请稍后再试。"),
    "not-found": ("页面不存在", "您访问的地址不存在。"),
    "method-not-allowed": ("不支持的请求", "该地址不支持这种请求方式。"),
    "forbidden": ("无权访问", "该接口仅供登录系统调用。"),
}

# Why a visitor's own code is not accepted, by `reason` of the problem `code-expired`.
CODE_REASONS: dict[str, str] = {
    "expired": "验证码已过期，",
    "used": "验证码已使用，",
    "replaced": "验证码已被之后发送的新验证码替换，",
    "never-sent": "您还没有获取验证码，",
}
CODE_INVALID = "该验证码已失效或尚未获取，"

# Sentences of the problems about wrong codes and details.
CODE_ATTEMPTS = "验证码不正确，还可以再试$attempts_left次。"
NO_CODE_ATTEMPTS = (
    f"验证码不正确，这个验证码不能再试了，请重新获取验证码，或联系技术支持{SUPPORT}。"
)
DETAILS_ATTEMPTS = "今天还可以再试$attempts_left次。"
NO_DETAILS_ATTEMPTS = f"今天的次数已用完，请明天再试，或联系技术支持{SUPPORT}。"

# Why a field is invalid, shown next to the field.
INPUT_REASONS: dict[str, str] = {
    "body": "请求内容不是有效的JSON对象。",
    "body-too-large": "请求内容过大。",
    "body-duplicate": "请求内容中有重复的字段。",
    "body-too-deep": "请求内容嵌套过深。",
    "content-type": "请求内容的类型应为application/json。",
    "missing": "请填写此项。",
    "unknown": "不支持的字段。",
    "text": "此项应为文字。",
    "too-long": "此项内容过长。",
    "user-type": "此处只办理会计师事务所账号的密码找回，其他用户请联系技术支持" + SUPPORT + "。",
    "login": "请输入会计师事务所编号，或编号加“_cw”的财务上报账号。",
    "code": "请输入6位或8位数字验证码。",
    "follow": "请先用微信扫码关注公众号，再在手机上操作。",
    "scene": "二维码参数不正确。",
    "factor": "安全校验的参数不正确。",
    "phone": "请输入11位大陆手机号。",
    "same-phone": "该手机号就是账号现在绑定的手机号。",
    "no-fact": "请至少填写一项要更正的信息。",
    "last4": "请填写身份证号后四位：三位数字，末位为数字或X。",
    "fact": "请按材料填写完整的文字，不能含有?、*、□等替代符号。",
    "closed": "该会计师事务所已注销，账号不能修改；确需恢复请由运维人员办理。",
    "date": "日期应为YYYY-MM-DD，起止不超过31天。",
    "requester": "请求方标识应为16位十六进制数字。",
    "format": "格式只能是json或csv。",
    "year": "年度应为四位年份，最晚为下一年度。",
    "oauth": "微信登录未成功，请从公众号菜单“找回密码”重新进入。",
}

# Shown on the page after a failed WeChat login, by the error's code.
ENTRY: dict[str, str] = {
    "invalid-input": INPUT_REASONS["oauth"],
    "recovery-expired": "进入页面的链接已失效，请从公众号菜单“找回密码”重新进入。",
    "unavailable": "微信暂时没有响应，请稍后从公众号菜单“找回密码”重新进入。",
    "snapshot": "微信目前只显示了本页的快照，无法识别您的微信。请点击页面下方的“使用完整服务”，"
    "或从公众号菜单“找回密码”重新进入。",
}

# Shown at the support desk's sign-in after a failure, by the reason.
DESK_ENTRY: dict[str, str] = {
    "expired": "登录已超时，请重新登录。",
    "refused": "登录未成功，请重试；仍不成功请联系管理员。",
    "role": "您的账号没有客服工作台的角色，请联系管理员。",
    "unavailable": "统一身份认证暂时没有响应，请稍后再试。找回密码服务不受影响。",
}

# Why a password is too weak.
PASSWORD_REASONS: dict[str, str] = {
    "too-short": "密码至少需要$minimum位",
    "too-long": "密码最多$maximum位",
    "edge-spaces": "密码首尾不能有空格",
    "too-few-classes": "密码需包含大写字母、小写字母、数字、符号中的至少三种",
    "contains-login": "密码不能包含登录账号或会计师事务所编号",
    "contains-phone": "密码不能包含绑定的手机号",
    "contains-default": "密码不能包含系统的默认密码",
    "common": "密码过于常见，容易被猜到",
    "control-characters": "密码不能包含换行等控制字符",
}

# SMS, by template name. The same texts are filed with each vendor, with the placeholders as parameters.
# `$login` is the login in full: firm numbers are public, and a person with several logins must see
# which one is meant. With the signature, each text for a firm's login fits into the 70 characters of
# one SMS; a branch's longer number may need a second part, which is billed as another SMS.
SMS_TEMPLATES: dict[str, str] = {
    "code": "账号$login找回密码的验证码是$code，$minutes分钟内有效，请勿告知他人。非本人操作请忽略。",
    "password-reset": f"账号$login已于$time重置密码。非本人操作请联系{SUPPORT}",
    "wechat-bound": f"账号$login已于$time重置密码并绑定微信。非本人操作请联系{SUPPORT}",
    "wechat-unbound": f"账号$login已于$time解绑微信。非本人操作请联系{SUPPORT}",
    "phone-changed": f"账号$login绑定的手机号已于$time变更。非本人操作请联系{SUPPORT}",
    "unlocked": f"账号$login的次数限制已于$time解除。未申请请联系{SUPPORT}",
    "phone-code": "账号$login绑定本手机的验证码是$code，$minutes分钟内有效，请告知来电客服。非本人操作请忽略。",
    "phone-approved": f"账号$login正在更换绑定手机（$time）。非本人操作请联系{SUPPORT}",
    "phone-undone": f"账号$login更换手机已于$time撤销。非本人操作请联系{SUPPORT}",
    "frozen": f"账号$login已于$time冻结。如需恢复请联系{SUPPORT}",
    "unfrozen": f"账号$login已于$time解除冻结。非本人操作请联系{SUPPORT}",
    "firm-closed": f"编号$login的登录账号已于$time随注销停用。如有疑问请联系{SUPPORT}",
    "firm-reopened": f"编号$login的登录账号已于$time恢复使用。如有疑问请联系{SUPPORT}",
}

_NOT_ME = "，非本人操作请点此冻结"

# The same notices as titles of a WeChat template message, whose field has 20 characters at most. The
# message's link leads to the freezing of the login where the title says so.
NOTICE_TITLES: dict[str, str] = {
    "password-reset": f"登录密码已重置{_NOT_ME}",
    "wechat-bound": f"密码重置并绑定微信{_NOT_ME}",
    "wechat-unbound": f"已解绑微信公众号{_NOT_ME}",
    "phone-changed": f"绑定手机号已变更{_NOT_ME}",
    "unlocked": f"次数限制已解除{_NOT_ME}",
    "phone-approved": f"正在更换绑定手机号{_NOT_ME}",
    "phone-undone": f"更换手机号已撤销{_NOT_ME}",
    "frozen": "账号已冻结",
    "unfrozen": f"账号已解除冻结{_NOT_ME}",
    "firm-closed": "登录账号已随注销停用",
    "firm-reopened": "登录账号已恢复使用",
}
FREEZING_NOTICES = frozenset(NOTICE_TITLES) - {"frozen", "firm-closed", "firm-reopened"}
"""The notices whose link leads to the freezing of the login."""

CODE_KEY = "code"
"""The key of the menu item 获取验证码."""

MENU_RECOVER = "找回密码"
MENU_CODE = "获取验证码"

# Replies of the Official Account. WeChat renders the <a> elements as links.
REPLIES: dict[str, str] = {
    "welcome": f"欢迎关注“{ACCOUNT_NAME}”公众号。\n"
    '忘记登录密码时，请点击菜单“找回密码”，或<a href="$url">点此找回密码</a>。',
    "scanned": '您正在找回账号$login的登录密码，请<a href="$url">点此继续</a>。\n'
    "如非本人操作请忽略。",
    "page": '请<a href="$url">点此找回密码</a>。',
    "help": '忘记登录密码请<a href="$url">点此找回密码</a>；获取验证码请回复“验证码”。\n'
    f"如需人工帮助请联系{SUPPORT}。",
    "code": '您正在找回账号$login的登录密码，验证码$code，$until前有效。<a href="$url">点此填写</a>。',
    "code-care": "验证码请勿告知他人，如非本人操作请忽略。",
    "no-code": '目前没有可领取的验证码。请先在<a href="$url">找回密码页面</a>点击“获取验证码”，'
    "再回到这里领取。验证码只发给账号绑定的微信。",
}

# Message to operators at the end of a yearly reset.
RESET_ENDED = (
    "$year年度财务上报账号（_cw）密码重置已结束：共$logins个账号，重置$done个，跳过$skipped个，"
    "失败$failed个。逐个账号的结果可用 python -m infra.ops yearly-reset --status $year 查看。"
)

# Messages to operators about a yearly reset that was begun before 1 January of its year.
RESET_BEGUN_EARLY = (
    "$year年度财务上报账号（_cw）密码重置已提前启动：$time，由$by。"
    "所有_cw账号的密码现在就会被重置，$year年1月1日的定时任务不会再重置一次。"
)
RESET_WAS_EARLY = (
    "$year年度财务上报账号（_cw）密码重置早已提前启动：$time，由$by。本次定时任务没有重置任何账号。"
    "各账号的结果可用 python -m infra.ops yearly-reset --status $year 查看。"
)
RESET_WAS_EARLY_OPEN = (
    "$year年度财务上报账号（_cw）密码重置早已提前启动：$time，由$by。本次定时任务只补做其中没有完成的部分。"
    "各账号的结果可用 python -m infra.ops yearly-reset --status $year 查看。"
)

# Faults of a row or the header of a directory file.
DIRECTORY_FAULTS: dict[str, str] = {
    "column-missing": "缺少列$column",
    "column-unknown": "不认识的列$column",
    "column-twice": "列$column重复",
    "missing": "$column为空",
    "too-long": "$column过长",
    "firm-no": "$column应为8至20位数字",
    "province": "$column应为两位行政区划代码",
    "last4": "$column应为三位数字加一位数字或X",
    "last4-short": "$column不足四位，可能被Excel去掉了开头的0，请把该列设为文本后重填",
    "phone": "$column应为11位大陆手机号",
    "duplicate": "$column与第$row行重复",
    "firm-unknown": "$column没有已导入的会计师事务所",
    "firm-closed": "该会计师事务所已于$closed注销；如未注销，请在$erased前用 ops close $firm_no --undo "
    "恢复后重新导入，此后所存信息清除，可在几天后按新开户导入",
    "columns-count": "列数与表头不一致",
    "hash-unsound": "$column中的密码哈希不可用：不完整、格式有误，或验证所需的计算量超过上限",
    "hash-foreign": "$column像是其他系统的密码哈希，本系统无法验证；请改填明文密码或支持的哈希，或留空",
    "formula": "$column是表格软件的公式或错误值，请粘贴为文本值后重填",
    "placeholder": "$column是占位符或被遮盖的内容，不是实际的值；没有时可空的列请留空",
    "no-result": "$column是公式，但文件中没有它的结果，或结果为0；请复制后“粘贴为数值”再保存",
    "merged": "$column在合并单元格中，没有自己的值；请取消合并，逐行填写",
    "scientific": "$column被Excel改成了科学计数法，请把该列设为文本后重填",
    "digits-lost": "$column是超过15位的数字，末尾已被Excel丢弃，请把该列设为文本后重填",
    "not-text": "$column应为文本，不能是日期、公式错误或逻辑值",
    "substitution": "$column中有?、□、*、&#…;等替代符号或乱码，原来的字已丢失，请按原件补全",
    "control": "$column含有控制字符或乱码",
    "quotes": "引号不成对或位置有误",
    "store": "写入失败，可重新导入",
}

# Notes on a row of a directory file that was loaded.
DIRECTORY_NOTES: dict[str, str] = {
    "no-password": "没有开户密码，账号须先找回密码才能登录",
    "phone-kept": "$login已绑定其他手机号，未改动；变更请用 ops phone",
    "phone-changed": "$login绑定的手机号已变更",
    "password-trimmed": "开户密码首尾的空格已去掉",
    "password-hash": "开户密码是$scheme哈希，原样存入，首次验证成功时更新",
    "sheet-hidden": "另有隐藏的工作表“$sheet”有内容，没有导入；需要时用 --sheet 指定",
    "password-number": "开户密码在Excel中是数字，开头的0如有已被去掉",
}

# Why a whole directory file cannot be read.
DIRECTORY_FILES: dict[str, str] = {
    "empty": "文件是空的，应有一行列名，其下每行一家会计师事务所",
    "utf-16": "文件是UTF-16编码，请另存为UTF-8编码的CSV或XLSX",
    "encoding": "文件编码应为UTF-8或GB18030，请用Excel或WPS打开后另存为XLSX，或“CSV UTF-8”",
    "broken-utf-8": "文件是UTF-8编码，但第$line行有损坏的字符，请更正该行，或从原系统重新导出",
    "old-excel": "不支持旧版Excel文件（.xls），请另存为XLSX或CSV",
    "encrypted": "文件设有打开密码，请在Excel或WPS中取消密码后另存",
    "other-format": "这是其他格式的表格文件（如XLSB、ODS、Numbers），请另存为XLSX或CSV",
    "web-page": "这是网页或XML文件（有些系统导出的.xls其实是网页），请用Excel打开后另存为XLSX或CSV",
    "xlsx": "不是可读的XLSX文件，请用Excel或WPS打开后重新另存为XLSX",
    "no-sheet": "XLSX文件中没有可见的工作表",
    "sheets-filled": "除第一个工作表“$first”外，工作表$names也有内容；请用 --sheet 指定要导入的一个，或删除其余的",
    "sheet-unknown": "没有这个工作表，文件中有：$names",
    "sheet-csv": "CSV文件没有工作表，不能使用 --sheet",
    "too-large": "文件过大（上限$limit），请只保留名录，删除其余内容后另存",
    "merges": "合并单元格过多，请取消合并后另存",
    "no-header": "第$line行不是表头：没有一个认识的列名；第一行应为firm_no、name等列名，或会计师事务所编号、名称等",
    "header": "表头有误：$faults",
}


def fill(text: str, **values: object) -> str:
    """Return the text with each `$name` replaced by its value. Raises KeyError if one is missing."""
    return Template(text).substitute({key: str(value) for key, value in values.items()})


def waiting_time(seconds: int | None) -> str:
    """Return when to try again, rounded up to seconds, minutes or hours: `请在3分钟后再试。`.

    None means that waiting does not help and a new code is needed.
    """
    if seconds is None:
        return "请重新获取验证码。"
    if seconds <= 60:
        return f"请在{seconds}秒后再试。"
    if seconds <= 3600:
        return f"请在{-(-seconds // 60)}分钟后再试。"
    return f"请在{-(-seconds // 3600)}小时后再试。"
