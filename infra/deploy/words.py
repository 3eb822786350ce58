"""Chinese texts of the commands of a deployment; the alarms' own are in alarm_words."""

from __future__ import annotations

LEVELS = {"ok": "[正常]", "warn": "[注意]", "fail": "[须处理]"}

PREFLIGHT = """部署前检查账号与部署包，不做任何修改；有须处理的项目时返回值为1。

NAME=VALUE 是部署参数，与 sam deploy --parameter-overrides 所用的相同。"""
FIRST_SETTINGS = "把设置文件（JSON）写入尚为空的密钥，并生成文件中缺少的密钥值。"
STACK = "CloudFormation 栈名"
PREFIX = "参数 TablePrefix"
SETTINGS = "设置文件（JSON），只检查，不上传"

NO_REGION = "未指定区域：请设置 AWS_DEFAULT_REGION，或在 profile 中设置 region。"
IDENTITY = "账号 {account}，区域 {region}"
PARTITION = (
    "区域 {region} 属于 {partition}，与部署包不同：请用 --partition {partition}，"
    '并以 make package ARGS="--partition {partition}" 重新打包。'
)
NO_PACKAGE = "没有 {path}：请先执行 make package。"
TOO_LARGE = "模板 {size} 字节、{resources} 个资源，超过 CloudFormation 的上限（1 MB、500个），请交开发人员。"
NEEDS_S3 = "模板 {size} 字节，超过51200字节，须经 S3 上传：sam deploy 加 --resolve-s3。"
SIZE = "模板 {size} 字节"
NEW_STACK = "栈 {stack} 尚不存在，将新建"
DEAD_END = (
    "栈 {stack} 处于 {status}，不能更新：查看其事件，排除原因后用 "
    "sam delete --stack-name {stack} 删除再重新部署。已有数据的表和密钥不会随之删除。"
)
IN_PROGRESS = "栈 {stack} 正在变更（{status}），请等它结束。"
UPDATE = "栈 {stack} 处于 {status}，将更新"
UNPROTECTED = "表没有删除保护：请以参数 DeletionProtection=yes 再部署一次。"
TABLES_TAKEN = (
    "已有同名的表 {names}（以前的栈所保留）：沿用请加参数 ExistingTables={prefix}；"
    "否则改用别的 TablePrefix。"
)
SECRET_TAKEN = "已有密钥 {name}：沿用请加参数 ExistingSecret=yes。"
SECRET_DELETED = (
    "密钥 {name} 已计划删除，名称仍被占用：恢复请执行 "
    "aws secretsmanager restore-secret --secret-id {name}，再加参数 ExistingSecret=yes。"
)
QUEUE_TAKEN = "已有队列 {name}：确认无用后删除，60秒后再部署；或改用别的 TablePrefix。"
TABLES_MISSING = "参数 ExistingTables 所指的表 {names} 不存在，请核对前缀。"
TABLES_ADOPTED = "沿用以 {prefix} 开头的表；请在密钥中写明 TABLE_PREFIX={prefix}。"
SECRET_MISSING = "没有密钥 {name}：请去掉参数 ExistingSecret=yes。"
PARAMETER_UNKNOWN = "没有名为 {name} 的参数，请核对拼写（见 docs/deploy.zh-CN.md）。"
PARAMETER_WRONG = "参数 {name} 的值不合格式（见 docs/deploy.zh-CN.md）。"
MAKES_LOG_ROLE = "将为 API Gateway 指定写日志的角色"
NAMES_FREE = "以 {prefix} 开头的表名没有被占用"
LOG_ROLE = "API Gateway 写日志的角色：{role}"
NO_LOG_ROLE = "本账号在该区域没有指定 API Gateway 写日志的角色：请加参数 ApiGatewayLogRole=yes。"
ADDRESSES = "弹性 IP 已用 {used} 个，上限 {limit} 个；不足时请提高配额，或以 FixedAddress=no 部署。"
NETWORKS = "专有网络已用 {used} 个，上限 {limit} 个；不足时请提高配额，或以 FixedAddress=no 部署。"
CONCURRENCY = "Lambda 可用并发 {free}，至少需要 {wanted}；不足时请在 Service Quotas 申请提高。"
NO_SETTINGS = "没有给出设置文件，未检查：加 --settings 文件。"
SETTING_WRONG = "设置有误：{fault}"
SETTING_UNKNOWN = "没有名为 {name} 的设置，请核对拼写（见 docs/settings.md）。"
SNS_IN_CHINA = "AWS 中国区没有 SNS 短信：SMS_GATEWAYS 请改用 aliyun、tencent 或 http。"
SITE_URL = "SITE_URL 是 {url}，应为 https://{domain}。"
SETTINGS_WHOLE = "设置齐全（文件中 {count} 项）"
NO_DOMAIN = "没有给出域名，未检查证书：加 DomainName=… CertificateArn=…。微信要求使用已备案的域名。"
NO_CERTIFICATE = (
    "请为 {domain} 申请证书：aws acm request-certificate --domain-name {domain} "
    "--validation-method DNS，把返回的 ARN 用于参数 CertificateArn。"
)
CERTIFICATE_ELSEWHERE = "证书不在部署的区域，请在该区域申请。"
CERTIFICATE_OTHER = "证书不含域名 {domain}。"
CERTIFICATE_PENDING = "证书状态为 {status}：请按 ACM 给出的 CNAME 记录验证域名，签发后再部署。"
CERTIFICATE = "{domain} 的证书已签发"
UNCHECKED = "未能检查（{code}）：请确认当前身份有读取权限，或自行核对。"

NOT_AN_OBJECT = "{path} 不是 JSON 对象（设置名与文本）。"
SETTINGS_FAULTS = "设置不完整，没有写入：\n{faults}"
SECRET_NOT_EMPTY = "密钥 {name} 已有内容，没有写入；修改请在 Secrets Manager 中进行。"
SECRET_WRITTEN = "已写入 {name}（{count} 项）。{path} 含全部密钥，请移到离线处保管：丢失 CODE_PEPPER 后所有密码都无法验证。"
