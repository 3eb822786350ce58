"""The table of settings: the type, parser, description and default of each.

A setting is a field of `Settings`; its environment variable has the field's name in upper case.
The limits are the fields of `domain.limits.Limits`, named `LIMIT_` and the field in upper case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..domain.limits import Limits
from ..domain.passwords import Profile
from . import parsers
from .secret import Secret

T = TypeVar("T")


class SettingsError(Exception):
    """One or more settings are missing or malformed."""

    def __init__(self, faults: list[str]) -> None:
        """`faults` has a phrase for each, with the setting's name but never its value."""
        super().__init__("settings: " + "; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, eq=False)
class Setting:
    """One row of the table."""

    name: str
    """Name of the environment variable, and of the member of the secret's JSON object."""
    parse: Callable[[str], Any]
    about: str
    default: str | None
    """Raw text used if the setting is missing or blank; None: the setting is required."""
    secret: bool = False
    needed_by: str = ""
    """The SMS gateway that requires the setting; empty: none."""


def setting(
    parse: Callable[[str], T],
    about: str,
    *,
    default: str | None = None,
    secret: bool = False,
    needed_by: str = "",
) -> T:
    """Declare a field of `Settings`; the arguments are those of `Setting`.

    The declared return type is the parser's, so that a type checker compares it with the field's.
    """
    row = {
        "parse": parse,
        "about": about,
        "default": default,
        "secret": secret,
        "needed_by": needed_by,
    }
    declared: T = field(metadata=row)
    return declared


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """The parsed settings."""

    site_url: str = setting(
        parsers.url, "public address of this service; every link is built from it"
    )
    login_url: str = setting(
        parsers.url, "where 返回登录 leads", default="https://cmis.cicpa.org.cn"
    )
    allowed_origins: tuple[str, ...] = setting(
        parsers.comma_list,
        "further origins whose pages may call the API, comma separated",
        default="",
    )
    signing_keys: tuple[Secret, ...] = setting(
        parsers.signing_keys,
        "keys of tokens, cookies and proofs, comma separated, newest first, 32 characters or more each",
        secret=True,
    )
    code_pepper: Mapping[int, Secret] = setting(
        parsers.peppers,
        "keys of code digests and password hashes: version:secret, comma separated, newest first",
        secret=True,
    )
    wechat_app_id: str = setting(parsers.app_id, "the Official Account's AppID")
    wechat_app_secret: Secret = setting(
        parsers.secret, "the Official Account's AppSecret", secret=True
    )
    wechat_token: Secret = setting(
        parsers.callback_token, "the token of the server configuration", secret=True
    )
    wechat_aes_key: Secret = setting(
        parsers.aes_key, "the EncodingAESKey of the server configuration", secret=True
    )
    wechat_code_template_id: str = setting(
        parsers.text,
        "template message of a code; empty: people fetch codes with the menu item 获取验证码",
        default="",
    )
    wechat_notice_template_id: str = setting(
        parsers.text,
        "template message of a notice (password reset, unbound); empty: notices go by SMS alone",
        default="",
    )
    wechat_api_url: str = setting(
        parsers.url, "WeChat's API or a forward proxy", default="https://api.weixin.qq.com"
    )
    wechat_open_url: str = setting(
        parsers.url, "WeChat's OAuth page", default="https://open.weixin.qq.com"
    )
    wechat_plain: bool = setting(parsers.switch, "1 accepts plain-text callbacks", default="0")
    wechat_verify: str = setting(
        parsers.verify_name,
        "the part of MP_verify_*.txt between the underscore and the dot; served at the root",
        default="",
    )
    sms_gateways: tuple[str, ...] = setting(
        parsers.gateways, "ordered list out of sns aliyun tencent http console"
    )
    sms_sign: str = setting(
        parsers.sms_sign, "the filed SMS signature, without brackets", default="中注协行业管理"
    )
    sms_sns_region: str = setting(
        parsers.text, "region of SNS; empty: the function's own", default=""
    )
    sms_aliyun_key_id: str = setting(
        parsers.text, "Aliyun AccessKey ID", default="", needed_by="aliyun"
    )
    sms_aliyun_key_secret: Secret = setting(
        parsers.secret, "Aliyun AccessKey secret", default="", secret=True, needed_by="aliyun"
    )
    sms_aliyun_url: str = setting(
        parsers.url, "Aliyun's SMS endpoint", default="https://dysmsapi.aliyuncs.com"
    )
    sms_aliyun_templates: Mapping[str, str] = setting(
        parsers.pairs,
        "filed templates: code=SMS_1,password-reset=SMS_2",
        default="",
        needed_by="aliyun",
    )
    sms_tencent_key_id: str = setting(
        parsers.text, "Tencent Cloud SecretId", default="", needed_by="tencent"
    )
    sms_tencent_key_secret: Secret = setting(
        parsers.secret, "Tencent Cloud SecretKey", default="", secret=True, needed_by="tencent"
    )
    sms_tencent_app_id: str = setting(
        parsers.text, "Tencent Cloud SmsSdkAppId", default="", needed_by="tencent"
    )
    sms_tencent_region: str = setting(parsers.text, "Tencent Cloud region", default="ap-guangzhou")
    sms_tencent_url: str = setting(
        parsers.url, "Tencent Cloud's SMS endpoint", default="https://sms.tencentcloudapi.com"
    )
    sms_tencent_templates: Mapping[str, str] = setting(
        parsers.pairs,
        "filed templates: code=1,password-reset=2",
        default="",
        needed_by="tencent",
    )
    sms_http_url: str = setting(
        parsers.optional_url, "endpoint of the http gateway", default="", needed_by="http"
    )
    sms_http_secret: Secret = setting(
        parsers.secret,
        "key of the http gateway's X-Signature",
        default="",
        secret=True,
        needed_by="http",
    )
    receipts_path: Secret = setting(
        parsers.receipts_path,
        "the unguessable end of the addresses that vendors push delivery receipts to; empty: no receipts",
        default="",
        secret=True,
    )
    oidc_issuer: str = setting(
        parsers.issuer,
        "issuer of the OpenID Connect provider of the support desk's staff; empty: no support desk",
        default="",
    )
    oidc_client_id: str = setting(parsers.text, "client id of the support desk", default="")
    oidc_client_secret: Secret = setting(
        parsers.secret,
        "client secret of the support desk; empty: a public client, which PKCE alone protects",
        default="",
        secret=True,
    )
    oidc_role_claim: str = setting(
        parsers.text,
        "claim of the ID token with the roles agent, supervisor, auditor; a dot leads into an object",
        default="roles",
    )
    canary_firm: str = setting(
        parsers.test_firm,
        "number of the test firm that the canary recovers, beginning with 00",
        default="00000000",
    )
    audit_retention_days: int = setting(
        parsers.audit_days,
        "days after which an event of the audit is deleted; 365 or more",
        default="400",
    )
    firm_erasure_days: int = setting(
        parsers.count,
        "days after which the data of a closed firm is erased; until then it can be opened again",
        default="30",
    )
    reset_queue_url: str = setting(
        parsers.optional_url,
        "the SQS queue of the yearly reset; empty: the one named TABLE_PREFIX-reset",
        default="",
    )
    ops_topic_arn: str = setting(
        parsers.text,
        "the SNS topic of messages to operators; empty: the messages go to the log",
        default="",
    )
    password_profile: Profile = setting(
        parsers.password_profile, "password policy: mlps or nist", default="mlps"
    )
    area_code_overrides: Mapping[str, str] = setting(
        parsers.area_code_overrides,
        "area codes that differ from the built-in table: 65=0991,…",
        default="",
    )
    proof_of_work: bool = setting(parsers.switch, "0 switches the proof of work off", default="1")
    table_prefix: str = setting(
        parsers.text, "prefix of the DynamoDB tables' names", default="recovery"
    )
    limits: Limits

    @property
    def origins(self) -> frozenset[str]:
        """Return the origins whose pages may call the API: the site's own and the allowed ones."""
        site = urlsplit(self.site_url)
        return frozenset([f"{site.scheme}://{site.netloc}", *self.allowed_origins])

    @property
    def secure(self) -> bool:
        """Return whether the site is served over TLS, so that cookies can be marked Secure."""
        return self.site_url.startswith("https:")

    def secrets(self) -> Iterator[str]:
        """Yield every secret in the clear, for code that removes secrets from output."""
        for each in fields(self):
            value = getattr(self, each.name)
            parts = value.values() if isinstance(value, dict) else value
            for part in parts if isinstance(value, dict | tuple) else (value,):
                if isinstance(part, Secret):
                    yield part.reveal()


_LIMIT = "LIMIT_"

SETTINGS: tuple[Setting, ...] = (
    *(Setting(each.name.upper(), **each.metadata) for each in fields(Settings) if each.metadata),
    *(
        Setting(
            _LIMIT + each.name.upper(),
            parsers.count,
            "limit: " + each.metadata["about"],
            str(each.default),
        )
        for each in fields(Limits)
    ),
)
"""Every setting: those of `Settings` in the order of its fields, then the limits."""


_SECRET_NAME = re.compile(r"([a-z][a-z0-9-]{2,40})-settings(?:-[0-9A-Za-z]{6})?")


def _settle_prefix(environment: Mapping[str, str], given: dict[str, str]) -> Iterator[str]:
    """Settle TABLE_PREFIX in a secret's settings, `given`, and yield a fault where sources disagree.

    A secret without it states it by its name, `PREFIX-settings`, or by the ARN of that name. With
    another stack's tables every write would be to the wrong people.
    """
    name = _SECRET_NAME.fullmatch(environment.get("SECRETS_ID", "").rpartition(":")[2])
    by_name = "" if name is None else name[1]
    stated = given.get("TABLE_PREFIX", "").strip() or by_name
    own = environment.get("TABLE_PREFIX", "").strip()
    if own and stated and own != stated:
        yield "TABLE_PREFIX of the environment is not that of the secret"
    elif own or stated:
        given["TABLE_PREFIX"] = own or stated


def load(environment: Mapping[str, str], secret: str | None = None) -> Settings:
    """Parse every setting.

    `environment` has raw values by setting name; `secret` is the JSON object of the Secrets Manager
    secret, if any. A value of the secret overrides the environment's, so that a copy left in the
    environment has no effect. TABLE_PREFIX must be the same in both. Raises SettingsError, which names
    all faults at once.
    """
    source = dict(environment)
    faults: list[str] = []
    if secret is not None:
        try:
            given = {str(name): str(value) for name, value in json.loads(secret).items()}
        except (ValueError, AttributeError):
            given = {}
            faults.append("SECRETS_ID does not name a JSON object")
        faults.extend(_settle_prefix(environment, given))
        source.update(given)
    values: dict[str, Any] = {}
    for row in SETTINGS:
        raw = source.get(row.name, "")
        if not raw.strip():
            if row.default is None:
                faults.append(f"{row.name} is missing")
                continue
            raw = row.default
        try:
            values[row.name] = row.parse(raw)
        except ValueError as error:
            fault = str(error) if str(error).startswith("must") else "is malformed"
            faults.append(f"{row.name} {fault}")
    faults.extend(
        f"{row.name} is missing, the {gateway} gateway needs it"
        for gateway in values.get("SMS_GATEWAYS", ())
        for row in SETTINGS
        if row.needed_by == gateway and row.name in values and not values[row.name]
    )
    if values.get("OIDC_ISSUER") and not values.get("OIDC_CLIENT_ID", "-"):
        faults.append("OIDC_CLIENT_ID is missing, OIDC_ISSUER needs it")
    if faults:
        raise SettingsError(faults)
    limits = {each.name: values.pop(_LIMIT + each.name.upper()) for each in fields(Limits)}
    return Settings(
        limits=Limits(**limits), **{name.lower(): value for name, value in values.items()}
    )
