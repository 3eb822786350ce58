"""Build the SMS gateways from the settings."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any

from ..settings import Settings
from .gateway import SmsGateway


def build(
    name: str,
    settings: Settings,
    clock: Callable[[], int],
    correlation_id: Callable[[], str | None],
) -> SmsGateway:
    """Return the gateway of this name, one of `settings.GATEWAYS`.

    `clock` returns epoch seconds; `correlation_id` returns the current request's. Each module is
    imported when its gateway is built, to keep unused gateways out of the cold start.
    """
    if name == "sns":
        from .sns import Sns

        return Sns(lambda: _sns_client(settings), settings.sms_sign)
    if name == "aliyun":
        from ..http_client import HttpClient
        from .aliyun import Aliyun
        from .vendor import VendorAccount

        account = VendorAccount(
            settings.sms_aliyun_key_id,
            settings.sms_aliyun_key_secret.reveal(),
            settings.sms_aliyun_url,
            settings.sms_sign,
            settings.sms_aliyun_templates,
        )
        return Aliyun(account, HttpClient(), clock, lambda: secrets.token_hex(16))
    if name == "tencent":
        from ..http_client import HttpClient
        from .tencent import Tencent
        from .vendor import VendorAccount

        account = VendorAccount(
            settings.sms_tencent_key_id,
            settings.sms_tencent_key_secret.reveal(),
            settings.sms_tencent_url,
            settings.sms_sign,
            settings.sms_tencent_templates,
        )
        return Tencent(
            account,
            HttpClient(),
            clock,
            app_id=settings.sms_tencent_app_id,
            region=settings.sms_tencent_region,
        )
    if name == "http":
        from ..http_client import HttpClient
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
