"""Delivery receipts are stored with their sends, and shown to operators."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from moto.sns.models import sns_backends

from app import sms_receipts
from chalicelib.domain.errors import Unavailable
from chalicelib.services.diagnosis import Finding
from chalicelib.sms.receipts import ALIYUN_TAKEN, TENCENT_TAKEN
from chalicelib.store import audit
from chalicelib.store.ephemeral_models import MessageItem
from chalicelib.store.models import AuditItem
from infra.ops import __main__ as commands
from infra.ops import words
from tests.support.http_server import Server
from tests.support.receipt_cases import (
    ALIYUN_ID,
    TENCENT_ID,
    Make,
    aliyun,
    code_sent,
    fate,
    logs,
    push,
    sns_line,
    tencent,
)


def test_aliyun_s_receipt_finds_its_code_by_the_reference(make: Make, vendors: Server) -> None:
    """Its out_id is the OutId of the request, and the response is the one that Aliyun expects."""
    world = make("aliyun")
    code_sent(world)
    (out_id,) = parse_qs(urlsplit(vendors.received[-1].path).query)["OutId"]
    answer = push(world, "aliyun", aliyun(out_id, success=False))
    assert (answer.status_code, answer.body.decode()) == (200, ALIYUN_TAKEN)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert fate() == ("aliyun", ALIYUN_ID, "failed", "MOBILE_NOT_ON_SERVICE 停机")
    seen = world.service.diagnosis.overview("11010148")
    assert Finding.NOT_DELIVERED in seen.findings
    assert seen.sends[0].reason == "MOBILE_NOT_ON_SERVICE 停机"


def test_tencent_s_receipt_finds_its_code_by_the_message(make: Make) -> None:
    """Where the account has no `ext`, the receipt has the serial number only."""
    world = make("tencent")
    code_sent(world, "11010148_cw")
    answer = push(world, "tencent", tencent())
    assert (answer.status_code, answer.body.decode()) == (200, TENCENT_TAKEN)
    assert fate("11010148_cw") == (
        "tencent",
        TENCENT_ID,
        "delivered",
        "DELIVRD 用户短信送达成功",
    )
    assert Finding.DELIVERED in world.service.diagnosis.overview("11010148_cw").findings


def test_tencent_s_receipt_finds_its_code_by_the_reference_where_it_comes(
    make: Make, vendors: Server
) -> None:
    """Its `ext` is the SessionContext of the request."""
    world = make("tencent")
    code_sent(world)
    for item in MessageItem.scan():
        if item.id.startswith("message#"):
            item.delete()
    ext = json.loads(vendors.received[-1].body)["SessionContext"]
    push(world, "tencent", tencent(success=False, ext=ext))
    assert fate() == ("tencent", TENCENT_ID, "failed", "MK:0001 空号")


@pytest.mark.parametrize("success", [True, False])
def test_sns_s_delivery_log_finds_its_code(make: Make, success: bool) -> None:
    """By the message id that SNS returned to the send."""
    world = make("sns")
    code_sent(world)
    (message_id,) = sns_backends["123456789012"]["us-east-1"].sms_messages
    assert sms_receipts(logs(sns_line(message_id, success=success)), None) == {
        "receipts": 1,
        "found": 1,
    }
    words = "Message has been accepted by phone carrier" if success else "Phone is unreachable"
    assert fate() == ("sns", message_id, "delivered" if success else "failed", words)


def test_after_a_failover_the_second_gateway_s_receipt_counts(make: Make, vendors: Server) -> None:
    """Aliyun failed and Tencent Cloud accepted the message, so that its receipt is stored."""
    world = make("aliyun,tencent")
    vendors.__dict__["aliyun_says"][0] = "isp.SYSTEM_ERROR"
    item = code_sent(world)
    assert (item.gateway, item.outcome, item.message_id) == ("tencent", "sent", TENCENT_ID)
    push(world, "tencent", tencent())
    assert fate()[2] == "delivered"
    # A receipt of Aliyun for the same reference belongs to another message.
    push(world, "aliyun", aliyun(f"11010148/{item.at}", success=False))
    assert fate() == ("tencent", TENCENT_ID, "delivered", "DELIVRD 用户短信送达成功")


def test_each_receipt_of_a_push_is_stored_with_its_own_send(make: Make) -> None:
    """Codes of two logins, in one push with receipts of a notice and of unknown messages."""
    world = make("aliyun", LIMIT_SENDS_PER_DESTINATION_MINUTE="5")
    main, finance = code_sent(world), code_sent(world, "11010148_cw")
    pushed = push(
        world,
        "aliyun",
        aliyun(f"11010148_cw/{finance.at}", success=False, biz_id="2^0"),
        aliyun("password-reset.11010148.1800000000", success=False, biz_id="3^0"),
        aliyun(None, biz_id="4^0"),
        aliyun(f"99999999/{main.at}", biz_id="5^0"),
        aliyun(f"11010148/{main.at}", biz_id="1^0"),
    )
    assert pushed.status_code == 200
    assert fate()[1:3] == ("1^0", "delivered")
    assert fate("11010148_cw")[1:3] == ("2^0", "failed")
    assert not list(AuditItem.query("99999999"))


@pytest.mark.parametrize("order", [(True, False), (False, True), (False, True, True, False)])
def test_the_order_of_receipts_does_not_matter(make: Make, order: tuple[bool]) -> None:
    """`delivered` prevails over `failed`, in any order."""
    world = make("aliyun")
    at = code_sent(world).at
    for success in order:
        assert push(world, "aliyun", aliyun(f"11010148/{at}", success=success)).status_code == 200
    assert fate() == ("aliyun", ALIYUN_ID, "delivered", "DELIVERED 用户接收成功")
    assert len(list(AuditItem.query("11010148"))) == 1


def test_operators_read_the_vendor_s_reason(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`account` and `audit` show it, on a terminal and as JSON."""
    monkeypatch.setenv("COLUMNS", "300")
    world = make("aliyun")
    at = code_sent(world).at
    push(world, "aliyun", aliyun(f"11010148/{at}", success=False))
    for command in ("account", "audit"):
        assert commands.main([command, "11010148"]) == 0
        shown = capsys.readouterr().out
        assert "MOBILE_NOT_ON_SERVICE 停机" in shown
        assert words.RECEIPTS["failed"] in shown
        assert commands.main([command, "11010148", "--json"]) == 0
        as_json = json.loads(capsys.readouterr().out)
        (send,) = as_json["sends"] if command == "account" else as_json
        assert (send["receipt"], send["reason"]) == ("failed", "MOBILE_NOT_ON_SERVICE 停机")


def test_a_reference_to_another_event_changes_nothing(make: Make) -> None:
    """Only events of sends have receipts."""
    world = make("aliyun")
    event = audit.entry("11010148", "password-recovered", world.clock())
    event.save()
    before = event.serialize()
    push(world, "aliyun", aliyun(f"11010148/{event.at}"))
    event.refresh()
    assert event.serialize() == before


@pytest.mark.parametrize("out_id", ["x", "11010148/", "11010148/1-2", "a#b/" + "0" * 13, "/" * 90])
def test_a_reference_of_another_form_is_ignored(make: Make, out_id: str) -> None:
    """Other programs may use the same account of the vendor."""
    world = make("aliyun")
    assert push(world, "aliyun", aliyun(out_id)).status_code == 200


def test_a_failure_to_store_the_message_id_does_not_fail_the_send(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code was sent, so that the request succeeds; its receipt finds no send."""
    world = make("tencent")

    def down(*_: Any) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(audit, "name_message", down)
    code_sent(world)
    push(world, "tencent", tencent())
    assert fate()[2] is None


def test_a_message_id_expires(make: Make) -> None:
    """Four days after the send: vendors retry a phone that is off for three days."""
    world = make("tencent")
    code_sent(world)
    note = MessageItem.get(f"message#tencent#{TENCENT_ID}")
    assert int(note.expires_at) == world.clock.time + 4 * 86_400


def test_references_have_the_expected_form(make: Make, vendors: Server) -> None:
    """Login and time of the send, in characters that both vendors return unchanged."""
    world = make("aliyun")
    at = code_sent(world, "11010148_cw").at
    (out_id,) = parse_qs(urlsplit(vendors.received[-1].path).query)["OutId"]
    assert out_id == f"11010148_cw/{at}"
    assert re.fullmatch(r"11010148_cw/[0-9]{13}-[0-9a-f]{24}", out_id)
