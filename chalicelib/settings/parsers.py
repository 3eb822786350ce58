"""Parsers of settings: each turns the raw text of one setting into its typed value.

Each raises ValueError if the text is malformed. A message that begins with "must" completes
"NAME must …" in the list of faults; every other message is replaced by "is malformed". No message
contains the text itself, which may be secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlsplit

from ..domain.canary import is_firm_number
from ..domain.passwords import PROFILES, Profile, area_codes
from .secret import Secret

GATEWAYS = ("sns", "aliyun", "tencent", "http", "console")
"""Names of the SMS gateways."""

_BRACKETS = ("【】", "〖〗", "[]", "［］")


def text(value: str) -> str:
    """Return the text without surrounding white space."""
    return value.strip()


def sms_sign(value: str) -> str:
    """Parse an SMS signature; the brackets that the vendors' consoles show around it are removed."""
    sign = value.strip()
    while len(sign) > 1 and sign[0] + sign[-1] in _BRACKETS:
        sign = sign[1:-1].strip()
    if not sign or any(bracket in sign for bracket in "【】"):
        raise ValueError("must be one signature, without brackets")
    return sign


def secret(value: str) -> Secret:
    """Return the text without surrounding white space, as a secret."""
    return Secret(value.strip())


def url(value: str) -> str:
    """Parse an http or https URL; a trailing slash is removed."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https address without query")
    if parts.username is not None or not value.isascii():
        raise ValueError("must be an address in ASCII without a user's name")
    return value.strip().rstrip("/")


def test_firm(value: str) -> str:
    """Parse a test firm's number."""
    number = value.strip()
    if not is_firm_number(number):
        raise ValueError("must be 8 to 20 digits that begin with 00")
    return number


def optional_url(value: str) -> str:
    """Parse an http or https URL, or an empty text."""
    return url(value) if value.strip() else ""


def issuer(value: str) -> str:
    """Parse an OpenID Connect issuer, or an empty text.

    The text is kept as it is, a trailing slash included, since ID tokens must name the very same.
    Plain http is accepted on this machine alone: whoever changes the provider's answers signs in.
    """
    if not value.strip():
        return ""
    url(value)
    parts = urlsplit(value.strip())
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("must be an https address")
    return value.strip()


def comma_list(value: str) -> tuple[str, ...]:
    """Parse items separated by commas; empty items are omitted."""
    return tuple(item.strip() for item in value.split(",") if item.strip())


def pairs(value: str) -> dict[str, str]:
    """Parse `name=value` items separated by commas; the last item of a name wins."""
    parsed: dict[str, str] = {}
    for item in comma_list(value):
        name, separator, content = item.partition("=")
        if not separator or not name.strip() or not content.strip():
            raise ValueError("must be a list like name=value,name=value")
        parsed[name.strip()] = content.strip()
    return parsed


def switch(value: str) -> bool:
    """Parse 1 as True and 0 as False."""
    if value.strip() not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return value.strip() == "1"


def count(value: str) -> int:
    """Parse a whole number from 1."""
    number = int(value.strip())
    if number < 1:
        raise ValueError("must be a whole number from 1")
    return number


def audit_days(value: str) -> int:
    """Parse a number of days from 365: the audit of a year must be whole when it is reviewed."""
    number = int(value.strip())
    if number < 365:
        raise ValueError("must be a whole number from 365")
    return number


def signing_keys(value: str) -> tuple[Secret, ...]:
    """Parse one or more keys of at least 32 characters, separated by commas; order is kept."""
    keys = comma_list(value)
    if not keys or any(len(key) < 32 for key in keys):
        raise ValueError("must be one or more keys of at least 32 characters")
    return tuple(Secret(key) for key in keys)


_PEPPERS = "must be version:secret items, each secret of at least 32 characters"


def peppers(value: str) -> dict[int, Secret]:
    """Parse `version:secret` items separated by commas into secrets by version; order is kept.

    An item without a version has version 1. Each secret has at least 32 characters.
    """
    parsed: dict[int, Secret] = {}
    for item in comma_list(value):
        version, separator, pepper = item.partition(":")
        if not separator:
            version, pepper = "1", item
        if not version.isdecimal() or len(pepper) < 32 or int(version) in parsed:
            raise ValueError(_PEPPERS)
        parsed[int(version)] = Secret(pepper)
    if not parsed:
        raise ValueError(_PEPPERS)
    return parsed


def app_id(value: str) -> str:
    """Parse the AppID of a WeChat Official Account."""
    if not re.fullmatch(r"wx[0-9a-zA-Z]{8,32}", value.strip()):
        raise ValueError("must look like wx0123456789abcdef")
    return value.strip()


def callback_token(value: str) -> Secret:
    """Parse the token that signs WeChat's callbacks."""
    if not re.fullmatch(r"[0-9A-Za-z]{3,32}", value.strip(), re.ASCII):
        raise ValueError("must be 3 to 32 letters and digits")
    return Secret(value.strip())


def aes_key(value: str) -> Secret:
    """Parse an EncodingAESKey: 32 bytes in Base64 without padding."""
    key = value.strip()
    try:
        decoded = base64.b64decode(key + "=", validate=True)
    except binascii.Error:
        decoded = b""
    if len(key) != 43 or len(decoded) != 32:
        raise ValueError("must be the 43 characters of the EncodingAESKey")
    return Secret(key)


def password_profile(value: str) -> Profile:
    """Parse the name of a password policy."""
    if value.strip() not in PROFILES:
        raise ValueError("must be " + " or ".join(PROFILES))
    return PROFILES[value.strip()]


def gateways(value: str) -> tuple[str, ...]:
    """Parse names of SMS gateways separated by commas, each at most once; order is kept."""
    names = comma_list(value)
    if not names or any(name not in GATEWAYS for name in names) or len(set(names)) != len(names):
        raise ValueError("must be an ordered list out of " + " ".join(GATEWAYS))
    return names


def area_code_overrides(value: str) -> dict[str, str]:
    """Parse `province=area code` items, such as 65=0991, into area codes by province."""
    overrides = pairs(value)
    for province, code in overrides.items():
        if province not in area_codes() or not re.fullmatch(r"0[0-9]{2,3}", code):
            raise ValueError("must be a list like 65=0991 of province and area code")
    return overrides


def verify_name(value: str) -> str:
    """Parse the variable part of the name of WeChat's domain verification file."""
    if not re.fullmatch(r"[0-9A-Za-z]{0,64}", value.strip()):
        raise ValueError("must be the letters and digits between MP_verify_ and .txt")
    return value.strip()


def receipts_path(value: str) -> Secret:
    """Parse the unguessable end of the receipts' URL, or an empty text."""
    # 32 hexadecimal digits are 128 bits.
    if value.strip() and not re.fullmatch(r"[0-9A-Za-z_-]{32,128}", value.strip(), re.ASCII):
        raise ValueError("must be 32 to 128 letters, digits, - or _")
    return Secret(value.strip())
