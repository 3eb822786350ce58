"""Delivery receipts end on the codes that they are of, and operators see them there."""

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
from chalicelib.store.models import AuditItem, MessageItem
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
    """What Aliyun was given as OutId comes back as out_id; the answer is the one it waits for."""
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
    """Its serial number alone comes back from an account whose `ext` is not enabled."""
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
    """The SessionContext that it was given comes back as `ext`."""
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
    """The function that CloudWatch Logs calls, with the id that SNS answered the send with."""
    world = make("sns")
    code_sent(world)
    (message_id,) = sns_backends["123456789012"]["us-east-1"].sms_messages
    assert sms_receipts(logs(sns_line(message_id, success=success)), None) == {
        "receipts": 1,
        "found": 1,
    }
    words = "Message has been accepted by phone carrier" if success else "Phone is unreachable"
    assert fate() == ("sns", message_id, "delivered" if success else "failed", words)


def test_a_code_that_a_second_gateway_took_is_told_of_by_that_one(
    make: Make, vendors: Server
) -> None:
    """Aliyun could not; Tencent Cloud took it, and its receipt ends on the same send."""
    world = make("aliyun,tencent")
    vendors.__dict__["aliyun_says"][0] = "isp.SYSTEM_ERROR"
    item = code_sent(world)
    assert (item.gateway, item.outcome, item.message_id) == ("tencent", "sent", TENCENT_ID)
    push(world, "tencent", tencent())
    assert fate()[2] == "delivered"
    # A stray one of Aliyun's for the same reference is of another message.
    push(world, "aliyun", aliyun(f"11010148/{item.at}", success=False))
    assert fate() == ("tencent", TENCENT_ID, "delivered", "DELIVRD 用户短信送达成功")


def test_each_receipt_of_a_push_ends_on_its_own_send(make: Make) -> None:
    """Two logins' codes, in one push with a notice's and with a stranger's."""
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
def test_receipts_in_any_order_and_number_end_the_same(make: Make, order: tuple[bool]) -> None:
    """What reached the phone has reached it, whatever comes later or came before."""
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


def test_a_reference_to_what_is_no_send_changes_nothing(make: Make) -> None:
    """Other events of the login keep what they are."""
    world = make("aliyun")
    event = audit.entry("11010148", "password-recovered", world.clock())
    event.save()
    before = event.serialize()
    push(world, "aliyun", aliyun(f"11010148/{event.at}"))
    event.refresh()
    assert event.serialize() == before


@pytest.mark.parametrize("out_id", ["x", "11010148/", "11010148/1-2", "a#b/" + "0" * 13, "/" * 90])
def test_a_reference_of_another_form_is_passed_over(make: Make, out_id: str) -> None:
    """Other programs of the account name their messages as they like."""
    world = make("aliyun")
    assert push(world, "aliyun", aliyun(out_id)).status_code == 200


def test_a_message_that_cannot_be_named_is_sent_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is out; the person must not ask for another because of a note."""
    world = make("tencent")

    def down(*_: Any) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(audit, "name_message", down)
    code_sent(world)
    push(world, "tencent", tencent())
    assert fate()[2] is None


def test_a_note_of_a_message_vanishes(make: Make) -> None:
    """Four days after the send: vendors try a phone that is off for three."""
    world = make("tencent")
    code_sent(world)
    note = MessageItem.get(f"message#tencent#{TENCENT_ID}")
    assert int(note.expires_at) == world.clock.time + 4 * 86_400


def test_references_are_of_the_form_that_is_looked_for(make: Make, vendors: Server) -> None:
    """And of no more characters than both vendors echo."""
    world = make("aliyun")
    at = code_sent(world, "11010148_cw").at
    (out_id,) = parse_qs(urlsplit(vendors.received[-1].path).query)["OutId"]
    assert out_id == f"11010148_cw/{at}"
    assert re.fullmatch(r"11010148_cw/[0-9]{13}-[0-9a-f]{24}", out_id)
