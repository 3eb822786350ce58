"""Build the SMS gateways from the settings."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any

from ..http_client import HttpClient
from ..settings import Settings
from .gateway import SmsGateway


def build(
    name: str,
    settings: Settings,
    clock: Callable[[], int],
    correlation_id: Callable[[], str | None],
) -> SmsGateway:
    """Return the gateway of this name, one of `settings.GATEWAYS`.

    `clock` gives epoch seconds; `correlation_id` gives the current request's. Each gateway's module
    is imported when it is built, so that a process pays at its cold start for its own gateways only.
    """
    if name == "sns":
        from .sns import Sns

        return Sns(lambda: _sns_client(settings), settings.sms_sign)
    if name == "aliyun":
        from .aliyun import Aliyun

        return Aliyun(
            settings.sms_aliyun_key_id,
            settings.sms_aliyun_key_secret.reveal(),
            settings.sms_aliyun_url,
            settings.sms_sign,
            settings.sms_aliyun_templates,
            HttpClient(),
            clock,
            lambda: secrets.token_hex(16),
        )
    if name == "tencent":
        from .tencent import Tencent

        return Tencent(
            settings.sms_tencent_key_id,
            settings.sms_tencent_key_secret.reveal(),
            settings.sms_tencent_app_id,
            settings.sms_tencent_region,
            settings.sms_tencent_url,
            settings.sms_sign,
            settings.sms_tencent_templates,
            HttpClient(),
            clock,
        )
    if name == "http":
        from .http import Http

        return Http(
            settings.sms_http_url,
            settings.sms_http_secret.reveal(),
            HttpClient(),
            correlation_id,
        )
    from .console import Console

    return Console(sys.stdout, settings.sms_sign)


def _sns_client(settings: Settings) -> Any:
    import boto3

    from .sns import sns_config

    region = settings.sms_sns_region or None
    return boto3.client("sns", region_name=region, config=sns_config())
