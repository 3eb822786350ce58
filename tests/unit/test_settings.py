"""The table of settings, their loading, and their faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_type_hints

import pytest

from chalicelib.domain.limits import Limits
from chalicelib.domain.passwords import PROFILES
from chalicelib.settings import SETTINGS as TABLE
from chalicelib.settings import Secret, Settings, SettingsError, load, parsers
from tests.conftest import SETTINGS

ROWS = {row.name: row for row in TABLE}
VENDORS = {
    "aliyun": {
        "SMS_ALIYUN_KEY_ID": "id",
        "SMS_ALIYUN_KEY_SECRET": "secret of aliyun",
        "SMS_ALIYUN_TEMPLATES": "code=SMS_1",
    },
    "tencent": {
        "SMS_TENCENT_KEY_ID": "id",
        "SMS_TENCENT_KEY_SECRET": "secret of tencent",
        "SMS_TENCENT_APP_ID": "1400000000",
        "SMS_TENCENT_TEMPLATES": "code=1",
    },
    "http": {"SMS_HTTP_URL": "https://sms.example", "SMS_HTTP_SECRET": "secret of http"},
}
REQUIRED = [
    "SITE_URL",
    "SIGNING_KEYS",
    "CODE_PEPPER",
    "WECHAT_APP_ID",
    "WECHAT_APP_SECRET",
    "WECHAT_TOKEN",
    "WECHAT_AES_KEY",
    "SMS_GATEWAYS",
]


def faults(**changes: str) -> list[str]:
    """Return the faults of the suite's settings with these changes."""
    try:
        load({**SETTINGS, **changes})
    except SettingsError as error:
        return error.faults
    return []


def test_each_field_and_each_limit_is_one_row_of_the_table() -> None:
    """In the order of the fields; the name is the field's in upper case."""
    own = [each.name.upper() for each in fields(Settings) if each.name != "limits"]
    limits = [f"LIMIT_{each.name.upper()}" for each in fields(Limits)]
    assert [row.name for row in TABLE] == own + limits
    assert all(row.about for row in TABLE)


def test_exactly_the_settings_without_default_are_required() -> None:
    """They are named together; a blank value counts as missing."""
    assert [row.name for row in TABLE if row.default is None] == REQUIRED
    for environment in ({}, dict.fromkeys(REQUIRED, " ")):
        with pytest.raises(SettingsError) as caught:
            load(environment)
        assert caught.value.faults == [f"{name} is missing" for name in REQUIRED]
        assert str(caught.value) == "settings: " + "; ".join(caught.value.faults)


def test_defaults_are_parsed_like_given_values() -> None:
    """A default that its own parser refuses would prevent every start."""
    for row in TABLE:
        if row.default is not None:
            row.parse(row.default)
    settings = load({name: SETTINGS[name] for name in REQUIRED})
    assert settings.limits == Limits()
    assert settings.login_url == "https://cmis.cicpa.org.cn"
    assert settings.proof_of_work is True
    assert settings.wechat_plain is False
    assert settings.password_profile == PROFILES["mlps"]
    assert settings.table_prefix == "recovery"
    assert settings.sms_aliyun_templates == {}
    assert not settings.receipts_path


def test_each_value_is_in_its_own_field() -> None:
    """No field has another's value."""
    given = {
        **{row.name: f"text of {row.name}" for row in TABLE if row.parse is parsers.text},
        **{row.name: f"text of {row.name}" for row in TABLE if row.parse is parsers.secret},
        **{
            row.name: f"https://{row.name.lower().replace('_', '-')}.example"
            for row in TABLE
            if row.parse in (parsers.url, parsers.optional_url)
        },
        **{f"LIMIT_{each.name.upper()}": str(7 + n) for n, each in enumerate(fields(Limits))},
    }
    settings = load({**SETTINGS, **given})
    for name, raw in given.items():
        if not name.startswith("LIMIT_"):
            value = getattr(settings, name.lower())
            assert (value.reveal() if isinstance(value, Secret) else value) == raw
    assert [getattr(settings.limits, each.name) for each in fields(Limits)] == [
        7 + n for n, _ in enumerate(fields(Limits))
    ]


@pytest.mark.parametrize(
    "given",
    [
        "中注协",
        " 中注协 ",
        "【中注协】",
        " 【 中注协 】 ",
        "〖中注协〗",
        "[中注协]",
        "［中注协］",
        "【【中注协】】",
    ],
)
def test_the_brackets_of_a_signature_are_removed(given: str) -> None:
    """The vendors' consoles show it with brackets, and their interfaces refuse it with them."""
    assert load({**SETTINGS, "SMS_SIGN": given}).sms_sign == "中注协"


def test_a_signature_may_end_with_brackets() -> None:
    """Only a pair around the whole is removed."""
    assert load({**SETTINGS, "SMS_SIGN": "中注协（北京）"}).sms_sign == "中注协（北京）"


def test_secret_rows_hold_secrets_and_no_others_do() -> None:
    """By their declared types."""
    types = get_type_hints(Settings)
    for row in TABLE:
        declared = types.get(row.name.lower(), int)
        assert ("Secret" in str(declared)) == row.secret, row.name


def test_no_secret_is_printed() -> None:
    """Neither with the settings nor alone; all are listed for masking."""
    vendors = {name: value for each in VENDORS.values() for name, value in each.items()}
    settings = load(
        {**SETTINGS, **vendors, "RECEIPTS_PATH": "r" * 32, "OIDC_CLIENT_SECRET": "secret of oidc"}
    )
    secrets = [secret for secret in settings.secrets() if secret]
    assert len(secrets) == len([row for row in TABLE if row.secret])
    for secret in secrets:
        for shown in (repr(settings), str(settings), f"{Secret(secret)!s}{Secret(secret)!r}"):
            assert secret not in shown


def test_settings_cannot_be_changed() -> None:
    """All threads of a process share them."""
    with pytest.raises(FrozenInstanceError):
        load(SETTINGS).site_url = "https://other.example"  # type: ignore[misc]


@pytest.mark.parametrize("gateway", VENDORS)
def test_a_gateway_needs_its_own_settings(gateway: str) -> None:
    """Only if it is listed; each missing setting is named."""
    needs = VENDORS[gateway]
    assert {row.name for row in TABLE if row.needed_by == gateway} == set(needs)
    assert faults(SMS_GATEWAYS="console") == []
    assert faults(**{**dict.fromkeys(needs, ""), "SMS_GATEWAYS": f"console,{gateway}"}) == [
        f"{name} is missing, the {gateway} gateway needs it" for name in needs
    ]
    assert faults(**{**needs, "SMS_GATEWAYS": gateway}) == []
    for name in needs:
        assert faults(**{**needs, name: "", "SMS_GATEWAYS": gateway}) == [
            f"{name} is missing, the {gateway} gateway needs it"
        ]


def test_an_issuer_needs_a_client_id() -> None:
    """Without an issuer there is no support desk, and nothing of it is needed."""
    assert faults(OIDC_ISSUER="https://id.example", OIDC_CLIENT_ID="desk") == []
    assert faults(OIDC_ISSUER="https://id.example") == [
        "OIDC_CLIENT_ID is missing, OIDC_ISSUER needs it"
    ]


MALFORMED = {
    "SITE_URL": ("must be an http or https address without query", "ftp://a", "https://a/?b", "a"),
    "LOGIN_URL": ("must be an address in ASCII without a user's name", "https://u@a", "https://中"),
    "SIGNING_KEYS": ("must be one or more keys of at least 32 characters", ",", "k" * 31),
    "CODE_PEPPER": (
        "must be version:secret items, each secret of at least 32 characters",
        ",",
        "x:" + "p" * 32,
        "1:short",
        f"1:{'p' * 32},1:{'q' * 32}",
    ),
    "WECHAT_APP_ID": ("must look like wx0123456789abcdef", "ab0123456789abcdef", "wx-1"),
    "WECHAT_TOKEN": ("must be 3 to 32 letters and digits", "ab", "a-b-c", "t" * 33),
    "WECHAT_AES_KEY": ("must be the 43 characters of the EncodingAESKey", "A" * 42, "!" * 43),
    "WECHAT_PLAIN": ("must be 0 or 1", "yes"),
    "WECHAT_VERIFY": ("must be the letters and digits between MP_verify_ and .txt", "a/b"),
    "SMS_GATEWAYS": (
        "must be an ordered list out of sns aliyun tencent http console",
        ",",
        "pigeon",
        "console,console",
    ),
    "SMS_SIGN": (
        "must be one signature, without brackets",
        "【】",
        "[]",
        "【 】",
        "【中注协",
        "中注协】",
        "【甲】【乙】",
    ),
    "SMS_ALIYUN_TEMPLATES": ("must be a list like name=value,name=value", "code", "=1", "code="),
    "SMS_HTTP_URL": ("must be an http or https address without query", "sms.example"),
    "OIDC_ISSUER": ("must be an https address", "http://id.example"),
    "RECEIPTS_PATH": ("must be 32 to 128 letters, digits, - or _", "r" * 31, "/" * 40),
    "CANARY_FIRM": (
        "must be 8 to 20 digits that begin with 00",
        "11010148",
        "0000000",
        "00000000_cw",
    ),
    "PASSWORD_PROFILE": ("must be mlps or nist", "lax"),
    "AREA_CODE_OVERRIDES": (
        "must be a list like 65=0991 of province and area code",
        "00=0991",
        "65=991",
    ),
    "LIMIT_TRIES_PER_CODE": ("must be a whole number from 1", "0", "-1"),
    "AUDIT_RETENTION_DAYS": ("must be a whole number from 365", "364", "0", "-400"),
    "FIRM_ERASURE_DAYS": ("must be a whole number from 1", "0", "-1"),
    "LIMIT_SENDS_PER_LOGIN_DAY": ("is malformed", "many", "1.5"),
}


@pytest.mark.parametrize(
    ("name", "fault", "value"),
    [(name, fault, value) for name, (fault, *values) in MALFORMED.items() for value in values],
)
def test_a_malformed_value_is_not_quoted(name: str, fault: str, value: str) -> None:
    """The fault has the setting's name and the required form."""
    assert faults(**{name: value}) == [f"{name} {fault}"]


def test_every_parser_that_can_refuse_is_tested() -> None:
    """Parsers that accept every text have no row in MALFORMED."""
    lenient: tuple[Callable[[str], Any], ...] = (parsers.text, parsers.secret, parsers.comma_list)
    tried = {ROWS[name].parse for name in MALFORMED}
    assert {row.parse for row in TABLE} == tried | set(lenient)


def test_all_faults_are_reported_in_the_table_s_order() -> None:
    """They can be corrected together; no value is quoted."""
    with pytest.raises(SettingsError) as caught:
        load(
            {**SETTINGS, "WECHAT_PLAIN": "maybe", "SITE_URL": "", "SMS_GATEWAYS": "http"},
            json.dumps(["no object"]),
        )
    assert caught.value.faults == [
        "SECRETS_ID does not name a JSON object",
        "SITE_URL is missing",
        "WECHAT_PLAIN must be 0 or 1",
        "SMS_HTTP_URL is missing, the http gateway needs it",
        "SMS_HTTP_SECRET is missing, the http gateway needs it",
    ]


@pytest.mark.parametrize("secret", ["", "no JSON", "1", "null", "[]"])
def test_a_secret_that_is_no_object_is_a_fault(secret: str) -> None:
    """So is an empty text, as which a binary secret is read."""
    with pytest.raises(SettingsError) as caught:
        load(SETTINGS, secret)
    assert caught.value.faults == ["SECRETS_ID does not name a JSON object"]


def test_the_secret_s_value_wins_over_the_environment_s() -> None:
    """Numbers are accepted; names that are no settings are ignored."""
    secret = {"SMS_SIGN": "秘密", "LIMIT_TRIES_PER_CODE": 3, "NO_SETTING": {}}
    settings = load({**SETTINGS, "SMS_SIGN": "环境"}, json.dumps(secret))
    assert settings.sms_sign == "秘密"
    assert settings.limits.tries_per_code == 3


NAMED = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:drill-settings-AbC123"


@pytest.mark.parametrize(
    ("environment", "secret", "prefix"),
    [
        ({}, {}, "recovery"),
        ({"SECRETS_ID": "drill-settings"}, {}, "drill"),
        ({"SECRETS_ID": NAMED}, {}, "drill"),
        ({"SECRETS_ID": NAMED, "TABLE_PREFIX": "drill"}, {}, "drill"),
        ({"SECRETS_ID": "elsewhere", "TABLE_PREFIX": "drill"}, {}, "drill"),
        ({"SECRETS_ID": NAMED}, {"TABLE_PREFIX": "restored"}, "restored"),
        (
            {"SECRETS_ID": NAMED, "TABLE_PREFIX": "restored"},
            {"TABLE_PREFIX": "restored"},
            "restored",
        ),
    ],
)
def test_the_prefix_is_that_of_the_secret(
    environment: dict[str, str], secret: dict[str, str], prefix: str
) -> None:
    """By its value, otherwise by its name; the default is for a secret that states neither."""
    settings = load(environment, json.dumps({**SETTINGS, **secret}))
    assert settings.table_prefix == prefix


@pytest.mark.parametrize(
    ("environment", "secret"),
    [
        ({"SECRETS_ID": NAMED, "TABLE_PREFIX": "recovery"}, {}),
        ({"SECRETS_ID": "recovery-settings", "TABLE_PREFIX": "drill"}, {}),
        (
            {"SECRETS_ID": "drill-settings", "TABLE_PREFIX": "drill"},
            {"TABLE_PREFIX": "recovery"},
        ),
    ],
)
def test_a_prefix_of_another_stack_is_a_fault(
    environment: dict[str, str], secret: dict[str, str]
) -> None:
    """Whichever of the two is wrong: a process would write to another stack's tables."""
    with pytest.raises(SettingsError) as caught:
        load(environment, json.dumps({**SETTINGS, **secret}))
    assert caught.value.faults == ["TABLE_PREFIX of the environment is not that of the secret"]


def test_derived_values() -> None:
    """Origins hold no path; cookies are secure exactly under https."""
    settings = load(
        {
            **SETTINGS,
            "SITE_URL": "https://site.example/recovery/",
            "ALLOWED_ORIGINS": "https://a.example, https://b.example",
        }
    )
    assert settings.site_url == "https://site.example/recovery"
    assert settings.origins == {"https://site.example", "https://a.example", "https://b.example"}
    assert settings.secure
    assert not load({**SETTINGS, "SITE_URL": "http://localhost:8000"}).secure
