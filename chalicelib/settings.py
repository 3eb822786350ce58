"""The service's settings: read from a mapping once, all faults named together, secrets unprintable.

`SETTINGS` is the one table. README.md repeats it, and a test compares the two.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from .domain.limits import Limits
from .domain.passwords import PROFILES, Profile, area_codes


class SettingsError(Exception):
    """One or more settings are missing or malformed; `faults` names each, never its value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("settings: " + "; ".join(faults))
        self.faults = faults


class Secret:
    """A value that shows as *** wherever it might be printed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; call it where it is used and nowhere earlier."""
        return self._value

    def key(self) -> bytes:
        """The value as key material."""
        return self._value.encode()

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class Setting:
    """One row of the table. `default` None means that the setting is required."""

    name: str
    parse: Callable[[str], Any]
    about: str
    default: str | None = None
    secret: bool = False


def _text(value: str) -> str:
    return value.strip()


def _secret(value: str) -> Secret:
    return Secret(value.strip())


def _url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https address without query")
    if parts.username is not None or not value.isascii():
        raise ValueError("must be an address in ASCII without a user's name")
    return value.strip().rstrip("/")


def _optional_url(value: str) -> str:
    return _url(value) if value.strip() else ""


def _list(value: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _pairs(value: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in _list(value):
        name, separator, content = item.partition("=")
        if not separator or not name.strip() or not content.strip():
            raise ValueError("must be a list like name=value,name=value")
        pairs[name.strip()] = content.strip()
    return pairs


def _switch(value: str) -> bool:
    if value.strip() not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return value.strip() == "1"


def _count(value: str) -> int:
    number = int(value.strip())
    if number < 1:
        raise ValueError("must be a whole number from 1")
    return number


def _signing_keys(value: str) -> tuple[Secret, ...]:
    keys = _list(value)
    if not keys or any(len(key) < 32 for key in keys):
        raise ValueError("must be one or more keys of at least 32 characters")
    return tuple(Secret(key) for key in keys)


def _peppers(value: str) -> dict[int, Secret]:
    peppers: dict[int, Secret] = {}
    for item in _list(value):
        version, separator, pepper = item.partition(":")
        if not separator:
            version, pepper = "1", item
        if not version.isdecimal() or len(pepper) < 32 or int(version) in peppers:
            raise ValueError("must be version:secret items, each secret of at least 32 characters")
        peppers[int(version)] = Secret(pepper)
    if not peppers:
        raise ValueError("must hold at least one pepper")
    return peppers


def _app_id(value: str) -> str:
    if not re.fullmatch(r"wx[0-9a-zA-Z]{8,32}", value.strip()):
        raise ValueError("must look like wx0123456789abcdef")
    return value.strip()


def _callback_token(value: str) -> Secret:
    if not re.fullmatch(r"[0-9A-Za-z]{3,32}", value.strip(), re.ASCII):
        raise ValueError("must be 3 to 32 letters and digits")
    return Secret(value.strip())


def _aes_key(value: str) -> Secret:
    key = value.strip()
    try:
        decoded = base64.b64decode(key + "=", validate=True)
    except binascii.Error:
        decoded = b""
    if len(key) != 43 or len(decoded) != 32:
        raise ValueError("must be the 43 characters of the EncodingAESKey")
    return Secret(key)


def _profile(value: str) -> Profile:
    if value.strip() not in PROFILES:
        raise ValueError("must be " + " or ".join(PROFILES))
    return PROFILES[value.strip()]


GATEWAYS = ("sns", "aliyun", "tencent", "http", "console")


def _gateways(value: str) -> tuple[str, ...]:
    names = _list(value)
    if not names or any(name not in GATEWAYS for name in names) or len(set(names)) != len(names):
        raise ValueError("must be an ordered list out of " + " ".join(GATEWAYS))
    return names


def _area_code_overrides(value: str) -> dict[str, str]:
    overrides = _pairs(value)
    for province, code in overrides.items():
        if province not in area_codes() or not re.fullmatch(r"0[0-9]{2,3}", code):
            raise ValueError("must be a list like 65=0991 of province and area code")
    return overrides


def _verify_name(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z]{0,64}", value.strip()):
        raise ValueError("must be the letters and digits between MP_verify_ and .txt")
    return value.strip()


def _receipts_path(value: str) -> Secret:
    # 32 characters carry 128 bits even where they are hexadecimal digits.
    if value.strip() and not re.fullmatch(r"[0-9A-Za-z_-]{32,128}", value.strip(), re.ASCII):
        raise ValueError("must be 32 to 128 letters, digits, - or _")
    return Secret(value.strip())


_LIMIT_ABOUT = {
    "starts_per_login_hour": "recoveries started for one login in an hour",
    "starts_per_address_hour": "recoveries started from one address in an hour",
    "sends_per_destination_minute": "codes to one phone or openid in a minute",
    "sends_per_destination_hour": "codes to one phone or openid in an hour",
    "sends_per_destination_day": "codes to one phone or openid in a day",
    "sends_per_login_day": "codes for one login in a day",
    "sends_per_service_hour": "codes of the whole service in an hour",
    "tries_per_code": "tries on one code",
    "wrong_codes_per_login_day": "wrong codes on one login in a day, over all its codes",
    "wrong_codes_per_service_hour": "wrong codes of the whole service in an hour",
    "wrong_details_per_login_day": "wrong unbinding details on one login in a day",
    "wrong_passwords_per_login_half_hour": "wrong passwords at /credentials/verify before a login is locked",
    "wrong_passwords_per_service_hour": "wrong passwords at /credentials/verify of the whole service in an hour",
}

SETTINGS: tuple[Setting, ...] = (
    Setting("SITE_URL", _url, "public address of this service; every link is built from it"),
    Setting("LOGIN_URL", _url, "where 返回登录 leads", default="https://cmis.cicpa.org.cn"),
    Setting(
        "ALLOWED_ORIGINS",
        _list,
        "further origins whose pages may call the API, comma separated",
        default="",
    ),
    Setting(
        "SIGNING_KEYS",
        _signing_keys,
        "keys of tokens, cookies and proofs, comma separated, newest first, 32 characters or more each",
        secret=True,
    ),
    Setting(
        "CODE_PEPPER",
        _peppers,
        "keys of code digests and password hashes: version:secret, comma separated, newest first",
        secret=True,
    ),
    Setting("WECHAT_APP_ID", _app_id, "the Official Account's AppID"),
    Setting("WECHAT_APP_SECRET", _secret, "the Official Account's AppSecret", secret=True),
    Setting("WECHAT_TOKEN", _callback_token, "the token of the server configuration", secret=True),
    Setting(
        "WECHAT_AES_KEY", _aes_key, "the EncodingAESKey of the server configuration", secret=True
    ),
    Setting(
        "WECHAT_CODE_TEMPLATE_ID",
        _text,
        "template message of a code; empty: people fetch codes with the menu item 获取验证码",
        default="",
    ),
    Setting(
        "WECHAT_NOTICE_TEMPLATE_ID",
        _text,
        "template message of a notice (password reset, unbound); empty: notices go by SMS alone",
        default="",
    ),
    Setting(
        "WECHAT_API_URL",
        _url,
        "WeChat's API or a forward proxy",
        default="https://api.weixin.qq.com",
    ),
    Setting("WECHAT_OPEN_URL", _url, "WeChat's OAuth page", default="https://open.weixin.qq.com"),
    Setting("WECHAT_PLAIN", _switch, "1 accepts plain-text callbacks", default="0"),
    Setting(
        "WECHAT_VERIFY",
        _verify_name,
        "the part of MP_verify_*.txt between the underscore and the dot; served at the root",
        default="",
    ),
    Setting("SMS_GATEWAYS", _gateways, "ordered list out of sns aliyun tencent http console"),
    Setting(
        "SMS_SIGN", _text, "the filed SMS signature, without brackets", default="中注协行业管理"
    ),
    Setting(
        "SMS_SNS_REGION", _text, "region of SNS where it is not the function's own", default=""
    ),
    Setting("SMS_ALIYUN_KEY_ID", _text, "Aliyun AccessKey ID", default=""),
    Setting("SMS_ALIYUN_KEY_SECRET", _secret, "Aliyun AccessKey secret", default="", secret=True),
    Setting(
        "SMS_ALIYUN_URL", _url, "Aliyun's SMS endpoint", default="https://dysmsapi.aliyuncs.com"
    ),
    Setting(
        "SMS_ALIYUN_TEMPLATES",
        _pairs,
        "filed templates: code=SMS_1,password-reset=SMS_2",
        default="",
    ),
    Setting("SMS_TENCENT_KEY_ID", _text, "Tencent Cloud SecretId", default=""),
    Setting("SMS_TENCENT_KEY_SECRET", _secret, "Tencent Cloud SecretKey", default="", secret=True),
    Setting("SMS_TENCENT_APP_ID", _text, "Tencent Cloud SmsSdkAppId", default=""),
    Setting("SMS_TENCENT_REGION", _text, "Tencent Cloud region", default="ap-guangzhou"),
    Setting(
        "SMS_TENCENT_URL",
        _url,
        "Tencent Cloud's SMS endpoint",
        default="https://sms.tencentcloudapi.com",
    ),
    Setting(
        "SMS_TENCENT_TEMPLATES", _pairs, "filed templates: code=1,password-reset=2", default=""
    ),
    Setting("SMS_HTTP_URL", _optional_url, "endpoint of the http gateway", default=""),
    Setting(
        "SMS_HTTP_SECRET", _secret, "key of the http gateway's X-Signature", default="", secret=True
    ),
    Setting(
        "RECEIPTS_PATH",
        _receipts_path,
        "the unguessable end of the addresses that vendors push delivery receipts to; empty: no receipts",
        default="",
        secret=True,
    ),
    Setting(
        "RESET_QUEUE_URL",
        _optional_url,
        "the SQS queue of the yearly reset; empty: the one named TABLE_PREFIX-reset",
        default="",
    ),
    Setting(
        "OPS_TOPIC_ARN",
        _text,
        "the SNS topic that operators read; empty: what it would say goes to the log",
        default="",
    ),
    Setting("PASSWORD_PROFILE", _profile, "password policy: mlps or nist", default="mlps"),
    Setting(
        "AREA_CODE_OVERRIDES",
        _area_code_overrides,
        "area codes that differ from the built-in table: 65=0991,…",
        default="",
    ),
    Setting("PROOF_OF_WORK", _switch, "0 switches the proof of work off", default="1"),
    Setting(
        "TABLE_PREFIX", _text, "what the DynamoDB tables' names begin with", default="recovery"
    ),
    *(
        Setting(
            "LIMIT_" + field.name.upper(),
            _count,
            "limit: " + _LIMIT_ABOUT[field.name],
            default=str(field.default),
        )
        for field in fields(Limits)
    ),
)

# What a gateway cannot do without; asked for only where SMS_GATEWAYS names it.
_GATEWAY_NEEDS = {
    "aliyun": ("SMS_ALIYUN_KEY_ID", "SMS_ALIYUN_KEY_SECRET", "SMS_ALIYUN_TEMPLATES"),
    "tencent": (
        "SMS_TENCENT_KEY_ID",
        "SMS_TENCENT_KEY_SECRET",
        "SMS_TENCENT_APP_ID",
        "SMS_TENCENT_TEMPLATES",
    ),
    "http": ("SMS_HTTP_URL", "SMS_HTTP_SECRET"),
}


@dataclass(frozen=True)
class Settings:
    """Parsed settings by name, with the few that are derived as properties."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def limits(self) -> Limits:
        return Limits(
            **{field.name: self.values["LIMIT_" + field.name.upper()] for field in fields(Limits)}
        )

    @property
    def origins(self) -> frozenset[str]:
        """Origins whose pages may call the API: the site's own and ALLOWED_ORIGINS."""
        site = urlsplit(self.values["SITE_URL"])
        return frozenset([f"{site.scheme}://{site.netloc}", *self.values["ALLOWED_ORIGINS"]])

    def secrets(self) -> Iterator[str]:
        """Every secret in the clear, for who must keep them out of what is written."""
        for value in self.values.values():
            parts = value.values() if isinstance(value, dict) else value
            for part in parts if isinstance(value, dict | tuple) else (value,):
                if isinstance(part, Secret):
                    yield part.reveal()

    @property
    def secure(self) -> bool:
        """Whether the site is served over TLS, and cookies may so be marked Secure."""
        return bool(self.values["SITE_URL"].startswith("https:"))


def load(environment: Mapping[str, str], secrets: str | None = None) -> Settings:
    """Read every setting; `secrets` is the JSON object of the Secrets Manager secret, if any.

    A value of the secret wins over the environment, so that a forgotten plain copy has no
    effect. Raises SettingsError that names all faults at once.
    """
    source = dict(environment)
    faults: list[str] = []
    if secrets is not None:
        try:
            parsed = json.loads(secrets)
            source.update({str(name): str(value) for name, value in parsed.items()})
        except (ValueError, AttributeError):
            faults.append("SECRETS_ID does not name a JSON object")
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        raw = source.get(setting.name, "")
        if not raw.strip():
            if setting.default is None:
                faults.append(f"{setting.name} is missing")
                continue
            raw = setting.default
        try:
            values[setting.name] = setting.parse(raw)
        except ValueError as error:
            words = str(error) if str(error).startswith("must") else "is malformed"
            faults.append(f"{setting.name} {words}")
    for gateway in values.get("SMS_GATEWAYS", ()):
        faults.extend(
            f"{name} is missing, the {gateway} gateway needs it"
            for name in _GATEWAY_NEEDS.get(gateway, ())
            if name in values and not values[name]
        )
    if faults:
        raise SettingsError(faults)
    return Settings(values)
