"""Chinese texts of the operators' command line; the service's own are in its catalogue."""

from __future__ import annotations

from chalicelib.domain.audit_texts import (
    ACTORS,
    EVENTS,
    GATEWAYS,
    LOCKS,
    OUTCOMES,
    REASONS,
    RECEIPTS,
    REFUSED,
    REPEATED,
    REPLACED,
)

__all__ = [
    "ACTORS",
    "EVENTS",
    "GATEWAYS",
    "LOCKS",
    "OUTCOMES",
    "REASONS",
    "RECEIPTS",
    "REFUSED",
    "REPEATED",
    "REPLACED",
]

PROGRAM = "python -m infra.ops"

ABOUT = "会计师事务所登录账号密码找回：运维命令。"
ABOUT_MORE = """使用普通的AWS凭证；AWS_ENDPOINT_URL可指向本机环境。
对账号的修改会连同操作者的AWS身份和原因一起留痕，并通知当事人。
没有命令能查看密码和验证码；除导入的开户密码和年度重置的默认密码外，也不能设置密码。"""

HELP = "显示帮助"
JSON = "输出机器可读的JSON"
REASON = "修改的原因，记入操作记录（必填）"
REASON_UNLESS_DRY = "原因（必填，仅查看时不需要）"
LOGIN = "登录账号：会计师事务所编号，财务上报账号另加_cw"

IMPORT = "从目录文件（CSV或XLSX）导入会计师事务所及其登录账号。"
IMPORT_MORE = """逐行导入：有误的行整行不导入并说明原因，其余照常导入。
重复导入同一文件不会有任何变化，已有的密码从不覆盖。有任何一行被拒绝时返回值不为0。"""
IMPORT_FILE = "目录文件"
IMPORT_SHEET = "XLSX文件中要导入的工作表（默认为第一个可见的）"
IMPORT_UPDATE = "文件只有firm_no和部分列，只改这些列；先显示将要改动的内容，确认后才写入"
IMPORT_YES = "与 --update 同用：不再询问"
UPDATE_PREVIEW = "文件共 $rows 行，将改动 $firms 家："
UPDATE_CONFIRM = "确认改动？"
UPDATE_UNCONFIRMED = "没有终端可供确认，未作任何改动；请核对上面的内容后加 --yes"
IMPORT_PHONES = "变更与文件不同的手机号（默认保留已绑定的），并短信通知新旧手机"
ACCOUNT = "查看账号：为什么收不到验证码。"
PHONE = "绑定或变更账号的手机号，短信通知新旧手机。"
PHONE_NUMBER = "11位大陆手机号"
PHONE_YES = "号码可疑时不再要求输入一次（用于脚本）"
PHONE_DOUBTS = {
    "data-card": "14开头的号码多为数据卡或物联网卡，可能收不到短信。",
    "other-firm": "该号码已绑定其他会计师事务所的账号。",
}
PHONE_CONFIRM = "确认请再输入一次手机号："
PHONE_NO_TERMINAL = "请在终端执行并再输入一次手机号，或加 --yes。没有做任何修改。"
PHONE_NOT_CONFIRMED = "两次输入的手机号不一致，没有做任何修改。"
PHONE_BUT_WECHAT = (
    "注意：$login 绑定了微信公众号，验证码仍发到微信，不发到该手机。"
    "如需改发短信，请解绑：python -m infra.ops unbind $login --reason 原因"
)
UNBIND = "解绑账号的微信公众号，验证码改发短信。"
UNLOCK = "清除账号及其手机或微信的次数限制。"
AUDIT = "查看账号最近的操作记录，或人员的操作记录。"
AUDIT_LOGIN = "；不写则查看人员的操作记录"
AUDIT_BY = "只看该人员：客服人员的标识，或AWS身份的ARN"
AUDIT_FROM = "起始日期，如2027-01-15（默认当天）；起止不超过31天"
AUDIT_TO = "截止日期"
AUDIT_CSV = "输出CSV"
FIND = "查找会计师事务所：编号、名称的一部分、主任会计师或手机号。"
FIND_TEXT = "要查找的内容；编号至少4位，手机号须完整"
FIND_COLUMNS = ("登录账号", "名称", "省份", "手机号", "微信绑定")
FIND_NOTHING = "没有找到。名称中“会计师事务所”“有限公司”等通用字样不参与查找。"
FIRM_CLOSED = "$name（已注销）"
FIND_MORE = "只列出前20家，请补充内容后再查。"
FREEZE = "冻结账号：不能找回密码，也不能登录，正在进行的找回立即失效。"
UNFREEZE = "解除账号的冻结。"
EXPORT = "导出所保存的某会计师事务所的全部信息（JSON，手机号掩码），并记入操作记录。"
SEARCH_INDEX = "为已有的会计师事务所和手机号建立查找索引。"
SEARCH_INDEX_MORE = "升级到有查找功能的版本后执行一次；之后导入和变更会自动更新。重复执行没有害处。"
SEARCH_INDEXED = "已索引 $firms 家会计师事务所、$phones 个手机号。"
AUDIT_COUNT = "最多显示多少条"
WECHAT_MENU = "设置微信公众号的自定义菜单：找回密码、获取验证码。"
WECHAT_MENU_MORE = """公众号现有的自定义菜单会被替换。重复执行没有害处。
调用微信接口的IP地址须在公众号的IP白名单中，公众号须已认证。"""
WECHAT_MENU_DRY_RUN = "只显示将要设置的菜单，不调用微信"

RESET = "年度重置：给所有财务上报账号（_cw）设置当年的默认密码。"
RESET_MORE = """每年1月1日零点（北京时间）自动执行；本命令用于手工启动、补做和查看。
重复启动只补做缺少的部分，不会重复设置；启动后本人已找回密码的账号不受影响。
当年1月1日至7日之外启动，须在终端再输入一次年度，或加 --yes；否则不做任何修改，返回值为2。
没有失败的账号、也没有死信时返回值为0。"""
RESET_YEAR_OPTION = "启动或补做该年度的重置"
RESET_STATUS = "查看该年度重置的进度和结果"
RESET_DRY_RUN = "只说明将会怎样，不做任何修改"
RESET_YES = "不再要求输入年度（用于脚本）"
RESET_CONFIRM = """现在不是$year年的1月1日至7日。所有财务上报账号（_cw）的密码将立即重置为$year年度的默认密码。
确认请再输入一次年度："""
RESET_NOT_CONFIRMED = "输入的年度不一致，没有做任何修改。"
RESET_NO_TERMINAL = (
    "现在不是$year年的1月1日至7日：请在终端执行并再输入一次年度，或加 --yes。没有做任何修改。"
)
RESET_WAIT = "显示进度，直到结束"
RESET_REDRIVE = "先把死信放回队列"
RESET_ONE_OF = "请给出 --year（可加 --dry-run、--wait、--redrive、--yes）或 --status 之一"
RESET_NONE = "没有$year年度的重置。"
RESET_STALLED = "$year年度的重置半小时没有进展；请查看 --status，或重新启动以补做。"
RESETTING = "$year年度重置"
RESET_ROWS = {
    "year": "年度",
    "state": "状态",
    "started": "启动",
    "reason": "原因",
    "resumed": "最近补做",
    "ended": "结束",
    "logins": "账号",
    "done": "已重置",
    "skipped": "跳过",
    "failed": "失败",
    "chunks": "分组",
    "dead": "死信",
    "unreadable": "无法识别的死信",
}
RESET_STATES = {"planning": "正在分组", "working": "正在重置", "done": "已结束"}
RESET_STARTED = "$time，由$by"
RESET_RESUMED = "$time，由$by（$reason）"
RESET_EARLY = "提前启动：早于$year年1月1日（北京时间），1月1日的定时任务不会再重置一次。"
RESET_CHUNKS = "$finished/$chunks"
RESET_FORECAST = "$year年度重置将涉及 $logins 个财务上报账号："
RESET_OUTCOMES = {
    "done": "重置",
    "already": "本年度已重置",
    "gone": "账号已不存在",
    "later-year": "已是更晚年度的密码",
    "changed": "重置开始后密码已变更",
    "no-province": "没有登记省份",
    "no-id-digits": "没有登记身份证号后四位",
    "unknown-province": "省份没有对应的区号",
}
RESET_NOTES_TITLE = "没有重置的账号"
RESET_NOTE_COLUMNS = ("登录账号", "结果", "原因")
RESET_NOTE_OUTCOMES = {"skipped": "跳过", "failed": "失败"}
RESET_UNREADABLE_HINT = (
    "无法识别的死信不是年度重置的消息，不会放回队列；请在SQS控制台查看来源后删除。"
)
RESET_DEAD_HINT = "死信多次处理失败；排除原因后用 --year $year --redrive --reason 原因 放回队列。"

RESTORE = "把表恢复到某一时间，放在新的表前缀下，并核对。"
RESTORE_MORE = """原有的表不变。恢复后打开到期删除、按时间点恢复和删除保护；临时数据（验证码等）不恢复。
有抽样的密码哈希不一致时返回值为1。如何切换到恢复的表，见命令的输出和运维手册。"""
RESTORE_TO = "恢复到的时间，如2026-11-30T09:00（不写时区即北京时间），或 latest"
RESTORE_TARGET = "新的表前缀，如 restored-1130"
RESTORE_REGION = "恢复到另一区域（默认为原区域）"
RESTORE_PREFIX_WRONG = "表前缀由小写字母、数字和连字符组成，3至41个字符，以字母开头。"
RESTORE_TIME_WRONG = "时间无法识别，请写成2026-11-30T09:00，或 latest。"
RESTORE_TARGET_TAKEN = "已有名为$name的表，请换一个前缀。没有做任何修改。"
RESTORE_NO_BACKUP = "表$name没有打开按时间点恢复，无法恢复。没有做任何修改。"
RESTORE_OUT_OF_SPAN = "表$name只能恢复到$earliest至$latest之间（北京时间）。没有做任何修改。"
RESTORE_STALLED = "表$name四小时仍未恢复完，请在DynamoDB控制台查看。"
RESTORED = "已恢复到表前缀 $prefix："
RESTORED_COUNT = "  $name：现有 $now 项，恢复 $then 项"
RESTORED_SAMPLE = "抽查 $sampled 个账号：$unchanged 个此后未改密码且哈希一致，$wrong 个不一致。"
RESTORED_NEXT = """切换：在密钥中写入 TABLE_PREFIX=$target（以及原队列地址 RESET_QUEUE_URL），
随即执行 sam deploy … --parameter-overrides ExistingTables=$target；运行中的函数五分钟内改用新表。
退回：把密钥改回 TABLE_PREFIX=$prefix，并以原参数再部署。"""

HEADINGS = {"Options": "选项", "Commands": "命令", "Positional arguments": "参数"}
USAGE = "用法："
DEFAULT = "默认"

PLACE = "执行位置：AWS账号$account，区域$region，表前缀$prefix"
PLACE_ENDPOINT = "，终端节点$url"

INTERRUPTED = "DynamoDB在导入中途停止响应；已导入的行有效，请稍后重新导入同一文件。"
INTERRUPTED_BY = "原因：$what。"
STOPPED = "已中断；已写入的内容有效，可以重新执行。"

# Errors, by the code that --json shows.
ERRORS = {
    "usage": "命令行有误：$what",
    "settings": "设置不完整：$what",
    "settings-nowhere": "设置不完整，也没有名为$secret的Secrets Manager密钥（区域$region）：$what",
    "secret": "无法读取Secrets Manager中的设置（密钥$secret，$what）。",
    "region": "未指定AWS区域，请设置AWS_DEFAULT_REGION。",
    "identity": "无法确认AWS身份（$what），请检查AWS凭证。",
    "file": "无法读取文件$path：$what",
    "unexpected": "程序出现意外错误（$what），请联系开发人员。",
    "unavailable": "$what不可用（$kind，区域$region），操作没有生效，请稍后重试。",
    "aws-refused": "$dependency没有执行（$what，区域$region），操作没有生效。",
    "aws": "AWS调用失败（$what）。",
    "delivery-failed": "短信没有发送成功。",
    "phone-not-bound": "该账号没有绑定手机号，解绑后将无法找回密码；请先用 phone 命令绑定手机号。",
}
# What AWS's and botocore's errors mean, by their code without `Exception`, or by their class.
_NO_RIGHT = "当前AWS身份没有所需的权限，请联系管理员授权。"
_EXPIRED = "AWS凭证已过期，请重新登录或更新凭证后重试。"
_KEY_REFUSED = "AWS不认可访问密钥，请检查密钥是否正确、是否已停用。"
_CLOCK = "请检查本机时间是否准确，以及密钥是否正确。"
_MISSING = "所在区域没有这个资源，请检查区域、AWS账号和TABLE_PREFIX。"
_NETWORK = "无法连接，请检查网络、代理和AWS_ENDPOINT_URL。"
AWS_ADVICE = {
    "AccessDenied": _NO_RIGHT,
    "UnauthorizedOperation": _NO_RIGHT,
    "AuthorizationError": _NO_RIGHT,
    "ExpiredToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidClientTokenId": _KEY_REFUSED,
    "UnrecognizedClient": _KEY_REFUSED,
    "InvalidAccessKeyId": _KEY_REFUSED,
    "IncompleteSignature": _KEY_REFUSED,
    "SignatureDoesNotMatch": _CLOCK,
    "InvalidSignature": _CLOCK,
    "ResourceNotFound": _MISSING,
    "QueueDoesNotExist": _MISSING,
    "AWS.SimpleQueueService.NonExistentQueue": _MISSING,
    "NotFound": _MISSING,
    "EndpointConnectionError": _NETWORK,
    "ConnectTimeoutError": _NETWORK,
    "ReadTimeoutError": _NETWORK,
    "ConnectionClosedError": _NETWORK,
    "ProxyConnectionError": _NETWORK,
    "SSLError": "TLS证书校验失败，请检查代理和AWS_CA_BUNDLE。",
    "InvalidEndpoint": "配置文件中的endpoint_url不是完整的地址，请写成http://或https://开头。",
    "InvalidRegionError": "区域名称不正确，请检查AWS_DEFAULT_REGION和配置文件中的region。",
    "InvalidRetryModeError": "AWS_RETRY_MODE的值不正确。",
}

# Slips of the environment, found before any request is sent.
VARIABLE_WRONG = (
    "环境变量$name含有空格、回车、换行或非英文字符，请重新设置（复制时常带入末尾的回车）。"
)
ENDPOINT_WRONG = (
    "环境变量$name不是完整的地址，请写成http://或https://开头，例如http://127.0.0.1:4566。"
)
PROFILE_UNKNOWN = "AWS配置文件中没有名为$name的profile，请检查AWS_PROFILE。"
CONFIG_UNPARSABLE = (
    "无法解析AWS配置文件$path，请检查其格式（应为[default]等小节和“名称 = 值”，UTF-8编码）。"
)
CONFIG_CONTRADICTORY = (
    "AWS配置文件中的profile不完整或引用了不存在的profile，请检查source_profile等项。"
)
SSO_NOT_SIGNED_IN = "尚未登录AWS SSO或登录已过期，请先执行 aws sso login 再重试。"
MFA_WITHOUT_TERMINAL = "该profile需要输入MFA验证码，请在终端中执行本命令。"
PROCESS_FAILED = (
    "没有从credential_process指定的程序或缓存的登录信息取得凭证（$kind）："
    "请单独执行该程序查看原因，或重新登录。"
)
CREDENTIALS_NOT_RETRIEVED = "没有取得AWS凭证（来源$provider），请检查后重试。"
CREDENTIALS_PARTIAL = "AWS凭证不完整：访问密钥ID与访问密钥须同时设置。"
CREDENTIALS_MISSING = (
    "没有找到AWS凭证，请设置AWS_PROFILE，或AWS_ACCESS_KEY_ID与AWS_SECRET_ACCESS_KEY。"
)
KEY_WRONG = "AWS凭证中含有回车、换行等控制字符，请重新设置。"

PARAMETER_MISSING = "缺少$name"
OPTION_UNKNOWN = "没有选项$name"
COMMAND_UNKNOWN = "没有命令$name"
PARAMETER_WRONG = "$name无效"
SEE_HELP = "查看帮助：$command --help"

DEPENDENCIES = {
    "store": "DynamoDB",
    "wechat": "微信平台",
    "queue": "SQS",
    "topic": "SNS",
    "secrets": "Secrets Manager",
}

TIME, DESTINATION, ROW, FIRM_NO = "时间", "去向", "行号", "会计师事务所编号"
YES, NO, UNKNOWN, NONE = "是", "否", "未知", "无"

KINDS = {"main": "年检、教育等功能账号", "finance": "财务上报账号"}
METHODS = {"sms": "短信", "wechat": "微信公众号"}

ACCOUNT_ROWS = {
    "login": "登录账号",
    "firm": "会计师事务所",
    "method": "验证码方式",
    "phone": "手机号",
    "wechat": "微信绑定",
    "following": "关注公众号",
    "password": "密码",
    "code": "当前验证码",
    "closed": "注销",
}
BOUND = "已绑定"
BOUND_SINCE = "已绑定（$time）"
NOT_BOUND = "未绑定"
NO_METHOD = "没有可用的方式"
HAS_NO_PASSWORD = "未设置"
MUST_CHANGE = "须修改（默认密码）"
CHANGED_AT = "$time 修改"
RECOVERED_AT = "本人$time找回"
RESET_YEAR = "最近年度重置$year年"
CLOSED_SINCE = "$closed 注销，$erased 清除"
CODE_UNTIL = "$time前有效"

FINDINGS_TITLE = "诊断"
FINDINGS = {
    "closed": "会计师事务所已注销，账号已停用：如是误办，可在清除之前用 close --undo 恢复。",
    "frozen": "账号已冻结，不能找回密码，也不能登录：核实后可用 unfreeze 命令解除。",
    "no-way": "没有绑定手机号，也没有绑定微信，收不到验证码：请用 phone 命令绑定手机号。",
    "not-following": "绑定的微信尚未关注或已取消关注公众号：请用该微信关注，或用 unbind 命令解绑后改用短信。",
    "following-unknown": "暂时查不到绑定的微信是否仍关注公众号。",
    "locked": "有次数限制生效，见下表；可等待自动解除，或用 unlock 命令清除账号自身的限制。",
    "locked-until-later": "有 unlock 命令不能解除的限制生效，见下表：请按表中说明处理，或等待自动解除。",
    "never-sent": "没有发送过验证码：请确认在页面上点击了获取验证码。",
    "not-delivered": "最近一次验证码没有送达手机或微信，原因见下表。",
    "send-failed": "最近一次验证码没有发出，原因见下表；可以立即重试。",
    "to-be-fetched": "最近一次验证码须本人在公众号菜单“获取验证码”领取。",
    "delivered": "最近一次验证码已送达。",
    "outcome-unknown": "最近一次发送没有得到网关的答复，可能已送达，也可能没有。",
    "no-receipt": "最近一次验证码已交给网关，还没有送达回执。",
    "no-password": "账号没有密码，须先找回密码才能登录。",
}

LOCKS_TITLE = "生效中的限制"
LOCK_COLUMNS = ("限制", "解除时间")

SENDS_TITLE = "最近发送的验证码"
SEND_COLUMNS = (TIME, "方式", DESTINATION, "网关", "结果", "回执", "原因")

AUDIT_COLUMNS = (TIME, "事件", "操作者", DESTINATION, "结果", "原因", "请求方/请求编号")
NO_EVENTS = "没有操作记录。"

CHANGED = {
    "phone": "$login 的手机号已变更。",
    "unbind": "$login 已解绑微信公众号。",
    "unlock": "$login 的次数限制已清除。",
    "freeze": "$login 已冻结。",
    "unfreeze": "$login 已解除冻结。",
}
UNCHANGED = {
    "phone": "$login 已绑定该手机号，没有变化。",
    "unbind": "$login 没有绑定微信，没有变化。",
    "unlock": "$login 没有次数限制，没有变化。",
    "freeze": "$login 已经是冻结状态，没有变化。",
    "unfreeze": "$login 没有冻结，没有变化。",
}
NOTIFIED = {
    "sent": "已短信通知 $to。",
    "unknown": "已短信通知 $to，网关没有答复，可能没有送达。",
    "failed": "短信通知 $to 失败：$reason",
}

MENU_COLUMNS = ("菜单", "点击后")
MENU_VIEW = "打开 $url"
MENU_CLICK = "回复验证码（事件 $key）"
MENU_MADE = "已设置。微信客户端会在用户重新进入公众号后更新菜单，最多延迟5分钟。"
MENU_PREVIEW = "仅预览，没有设置。"
MENU_REFUSED = "微信拒绝设置菜单（errcode $errcode，rid $rid）：$why"
MENU_SILENT = "微信平台没有答复，菜单可能没有设置，请稍后重试。"

# Explanations by WeChat's error code; 0 is for every other code.
WECHAT_REFUSALS = {
    0: "请按errcode查阅微信公众平台的全局返回码。",
    40001: "AppSecret不正确，或access_token被其他程序刷新。",
    40013: "WECHAT_APP_ID不正确。",
    40018: "菜单名称过长。",
    40054: "菜单链接无效，请检查SITE_URL。",
    40055: "菜单链接无效，请检查SITE_URL。",
    40125: "WECHAT_APP_SECRET不正确。",
    40164: "调用方的IP地址不在公众号的IP白名单中，请在公众平台添加后重试。",
    45009: "今天的接口调用次数已用完。",
    48001: "公众号没有自定义菜单接口的权限，请确认公众号已认证。",
    48004: "接口已被微信封禁，请登录公众平台查看。",
    50002: "公众号受限（可能已冻结或注销），请登录公众平台查看。",
}

LOADING = "导入"
LOADED = "导入 $loaded 家，无变化 $unchanged 家，拒绝 $refused 行；用时 $seconds 秒。"
SCHEMES = "存入原系统的密码哈希：$counts（个）。"
HASHED = "计算密码 $hashes 个，每秒 $rate 个。"
REFUSED_TITLE = "被拒绝的行"
REFUSED_COLUMNS = (ROW, FIRM_NO, "原因")
NOTES_TITLE = "提示"
NOTES_COLUMNS = (ROW, FIRM_NO, "提示")
MORE = "另有 $count 行未列出，可用 --json 查看全部。"
