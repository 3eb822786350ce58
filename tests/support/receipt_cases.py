"""Delivery receipts: SMS vendors that accept messages, and the receipts that they push."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.store.models import AuditItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.http_server import Received, Server, serving
from tests.support.sms_cases import aliyun_body, tencent_body

KEY = "R3ceipts-of-nobody_0123456789abcdef"
PHONE = "13800001234"
ALIYUN_ID, TENCENT_ID = "900619746936498440^0", "5000:1045710669157053657849499619"

VENDORS = {
    "SMS_ALIYUN_KEY_ID": "id",
    "SMS_ALIYUN_KEY_SECRET": "secret",
    "SMS_ALIYUN_TEMPLATES": "code=SMS_1",
    "SMS_TENCENT_KEY_ID": "id",
    "SMS_TENCENT_KEY_SECRET": "secret",
    "SMS_TENCENT_APP_ID": "1400000001",
    "SMS_TENCENT_TEMPLATES": "code=7",
    "SMS_SNS_REGION": "us-east-1",
    "RECEIPTS_PATH": KEY,
}

Make = Callable[..., World]


@dataclass
class SmsVendors(Server):
    """The vendors' server; `aliyun_says` holds the code of Aliyun's next answers."""

    aliyun_says: list[str] = field(default_factory=lambda: ["OK"])


@pytest.fixture
def vendors() -> Iterator[SmsVendors]:
    """Aliyun and Tencent Cloud, which accept each message under one id."""

    def reply(request: Received) -> tuple[int, bytes]:
        if "x-acs-action" in request.headers:
            return 200, aliyun_body(running.aliyun_says[0])
        return 200, tencent_body("Ok")

    with serving(reply) as server:
        running = SmsVendors(server.url, server.received)
        yield running


@pytest.fixture
def make(make_world: MakeWorld, vendors: SmsVendors) -> Make:
    """Make a world that sends its SMS through these gateways to the vendors' server."""

    def made(gateways: str, **settings: str) -> World:
        urls = {"SMS_ALIYUN_URL": vendors.url, "SMS_TENCENT_URL": vendors.url}
        world = make_world(SMS_GATEWAYS=gateways, **{**VENDORS, **urls, **settings})
        add_firm(world.service.hasher)
        return world

    return made


def code_sent(world: World, login: str = "11010148") -> AuditItem:
    """Send a code and return its audit event."""
    assert world.send(world.token(login)).status_code == 202
    return sent(login)


def sent(login: str = "11010148") -> AuditItem:
    return [item for item in AuditItem.query(login) if item.event == "code-sent"][-1]


def fate(login: str = "11010148") -> tuple[str | None, ...]:
    item = sent(login)
    return item.gateway, item.message_id, item.receipt, item.reason


def push(world: World, vendor: str, *records: dict[str, Any], key: str = KEY) -> HTTPResponse:
    return world.call("POST", f"/receipts/{vendor}/{key}", list(records))


def aliyun(out_id: str | None, *, success: bool = True, biz_id: str = ALIYUN_ID) -> dict[str, Any]:
    told = ("DELIVERED", "用户接收成功") if success else ("MOBILE_NOT_ON_SERVICE", "停机")
    return {
        "phone_number": PHONE,
        "report_time": "2027-01-15 16:00:07",
        "success": success,
        "err_code": told[0],
        "err_msg": told[1],
        "biz_id": biz_id,
        "out_id": out_id,
    }


def tencent(*, success: bool = True, sid: str = TENCENT_ID, **more: Any) -> dict[str, Any]:
    return {
        "user_receive_time": "2027-01-15 16:00:07",
        "mobile": PHONE,
        "report_status": "SUCCESS" if success else "FAIL",
        "errmsg": "DELIVRD" if success else "MK:0001",
        "description": "用户短信送达成功" if success else "空号",
        "sid": sid,
        **more,
    }


def logs(*lines: Any) -> dict[str, Any]:
    """Return the event with which CloudWatch Logs invokes a function."""
    events = [{"id": str(n), "message": json.dumps(line)} for n, line in enumerate(lines)]
    batch = {"messageType": "DATA_MESSAGE", "logEvents": events}
    packed = gzip.compress(json.dumps(batch).encode())
    return {"awslogs": {"data": base64.b64encode(packed).decode()}}


def sns_line(message_id: str, *, success: bool = True) -> dict[str, Any]:
    words = "Message has been accepted by phone carrier" if success else "Phone is unreachable"
    return {
        "notification": {"messageId": message_id, "timestamp": "2027-01-15 08:00:00.000"},
        "delivery": {"destination": f"+86{PHONE}", "providerResponse": words, "dwellTimeMs": 599},
        "status": "SUCCESS" if success else "FAILURE",
    }
