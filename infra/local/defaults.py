"""Local defaults of the settings that have none."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

from .wechat.simulator import CODE_TEMPLATE_ID, NOTICE_TEMPLATE_ID


def secret_settings() -> dict[str, str]:
    """Return new random secrets."""
    return {
        "SIGNING_KEYS": secrets.token_urlsafe(32),
        "CODE_PEPPER": "1:" + secrets.token_urlsafe(32),
        "WECHAT_APP_ID": "wx" + "10ca1" + "0" * 11,
        "WECHAT_APP_SECRET": secrets.token_hex(16),
        "WECHAT_TOKEN": secrets.token_hex(16),
        "WECHAT_AES_KEY": base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="),
        "SMS_HTTP_SECRET": secrets.token_hex(16),
    }


def place_settings(site_url: str, pc_origin: str) -> dict[str, str]:
    """Return the service's addresses and the platforms' settings of the demo."""
    return {
        "SITE_URL": site_url,
        "ALLOWED_ORIGINS": pc_origin,
        "LOGIN_URL": f"{site_url}/_login",
        "WECHAT_CODE_TEMPLATE_ID": CODE_TEMPLATE_ID,
        "WECHAT_NOTICE_TEMPLATE_ID": NOTICE_TEMPLATE_ID,
        "SMS_GATEWAYS": "http",
    }


def without_set(environ: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults that the environment does not set; an empty value counts as set."""
    return {name: value for name, value in defaults.items() if name not in environ}
