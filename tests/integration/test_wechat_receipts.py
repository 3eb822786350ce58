"""Receipts of template messages (TEMPLATESENDJOBFINISH), stored with their sends."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.store import audit
from chalicelib.store.models import AuditItem
from chalicelib.telemetry import metrics
from infra.ops import __main__ as commands
from infra.ops import words
from tests.conftest import MakeWorld, World, add_firm
from tests.support.callbacks import send_message
from tests.support.wechat_platform import INFO, SEND, WeChat, playing, refusal

BLOCKED, BROKEN = "failed:user block", "failed: system failed"


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, which accepts messages with the ids 101, 102 and so on."""
    with playing() as platform:
        platform.answers[SEND] = [
            {"errcode": 0, "errmsg": "ok", "msgid": number} for number in range(101, 110)
        ]
        platform.answers[INFO] = [{"subscribe": 1}]
        yield platform


@pytest.fixture
def world(make_world: MakeWorld, wechat: WeChat) -> World:
    """A firm whose two logins are bound to o-alice."""
    world = make_world(WECHAT_API_URL=wechat.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    return world


def send(world: World, login: str = "11010148") -> None:
    assert world.send(world.token(login)).status_code == 202


def receipt(
    world: World, message_id: object, status: str = "success", openid: str = "o-alice", **more: Any
) -> None:
    """Deliver a receipt, which has no reply."""
    fields = {"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "Status": status, **more}
    assert send_message(world, {**fields, "MsgID": message_id}, openid) == ""


def sends(login: str = "11010148") -> list[tuple[str | None, str | None, str | None]]:
    """Return message id, receipt and reason of each send, oldest first."""
    return [
        (item.message_id, item.receipt, item.reason)
        for item in AuditItem.query(login)
        if item.event == "code-sent"
    ]


@pytest.mark.parametrize(
    ("status", "kept", "reason"),
    [
        ("success", "delivered", None),
        (BLOCKED, "failed", "user block"),
        (BROKEN, "failed", "system failed"),
        ("failed", "failed", None),
    ],
)
def test_a_receipt_is_stored_with_its_send(
    world: World, status: str, kept: str, reason: str | None
) -> None:
    """Delivered, or failed with WeChat's reason."""
    send(world)
    receipt(world, 101, status)
    assert sends() == [("101", kept, reason)]


def test_a_repeat_changes_nothing(world: World) -> None:
    """WeChat may deliver a receipt three times."""
    send(world)
    for _ in range(3):
        receipt(world, 101, BLOCKED)
    assert sends() == [("101", "failed", "user block")]
    assert AuditItem.count() == 1


@pytest.mark.parametrize("message_id", [999, 1])
def test_an_unknown_message_id_is_ignored(world: World, message_id: object) -> None:
    """It belongs to a notice or to another program's message."""
    send(world)
    receipt(world, message_id, BLOCKED)
    assert sends() == [("101", None, None)]


def test_a_receipt_of_an_unknown_openid_is_ignored(world: World) -> None:
    """No code was sent to the openid."""
    receipt(world, 101)
    receipt(world, 101, openid="o-stranger")
    assert AuditItem.count() == 0


def test_a_receipt_of_another_openid_is_ignored(world: World) -> None:
    """The event must have the openid that the code was sent to."""
    send(world)
    receipt(world, 101, BLOCKED, openid="o-mallory")
    assert sends() == [("101", None, None)]


def test_a_late_receipt_finds_its_own_send(world: World) -> None:
    """Also where newer codes were sent to the same WeChat."""
    send(world)
    world.clock.time += 60
    send(world, "11010148_cw")
    world.clock.time += 60
    send(world)
    receipt(world, 101, BROKEN)
    receipt(world, 102)
    assert sends() == [("101", "failed", "system failed"), ("103", None, None)]
    assert sends("11010148_cw") == [("102", "delivered", None)]


def test_a_receipt_may_arrive_before_the_answer(world: World) -> None:
    """The send has no message id yet; receipt and id are both stored in the end."""
    send(world)
    (item,) = AuditItem.query("11010148")
    item.update([AuditItem.message_id.remove(), AuditItem.outcome.set("handed-over")])
    receipt(world, 101)
    audit.settle_send("11010148", item.at, outcome="sent", message_id="101")
    assert sends() == [("101", "delivered", None)]
    assert next(iter(AuditItem.query("11010148"))).outcome == "sent"


def test_a_push_without_an_answer_gets_its_receipt(world: World, wechat: WeChat) -> None:
    """The receipt settles the unknown outcome."""
    wechat.answers[SEND] = [None]
    send(world)
    receipt(world, 555, CreateTime=world.clock.time + 2)
    assert sends() == [("555", "delivered", None)]


def test_a_receipt_a_minute_later_belongs_to_another_message(world: World, wechat: WeChat) -> None:
    """It may be that of a notice."""
    wechat.answers[SEND] = [None]
    send(world)
    receipt(world, 555, CreateTime=world.clock.time + 61)
    assert sends() == [(None, None, None)]


def sent_client_msg_ids(wechat: WeChat) -> list[str]:
    """Return the client_msg_id of each template message, oldest first."""
    return [json.loads(request.body)["client_msg_id"] for request in wechat.asked(SEND)]


@pytest.mark.parametrize("message_id", [0, ""])
def test_a_receipt_without_an_id_is_found_by_its_client_msg_id(
    world: World, wechat: WeChat, message_id: object
) -> None:
    """WeChat also responds to a send with a msgid of 0; the client_msg_id is ours."""
    wechat.answers[SEND] = [{"errcode": 0, "errmsg": "ok", "msgid": 0}]
    send(world)
    world.clock.time += 60
    send(world)
    world.clock.time += 60
    send(world, "11010148_cw")
    first, second, finance = sent_client_msg_ids(wechat)
    assert sends() == [(None, None, None)] * 2
    receipt(world, message_id, client_msg_id=second)
    receipt(world, message_id, BLOCKED, client_msg_id=first)
    receipt(world, message_id, BROKEN, client_msg_id=finance)
    assert sends() == [(None, "failed", "user block"), (None, "delivered", None)]
    assert sends("11010148_cw") == [(None, "failed", "system failed")]


@pytest.mark.parametrize(
    "client_msg_id",
    ["", "x", "password-reset.11010148.1800000000", "1800000000000" + "0" * 19, "0" * 64],
)
@pytest.mark.parametrize("message_id", [0, ""])
def test_a_receipt_without_any_id_is_skipped_with_a_figure(
    make_world: MakeWorld, wechat: WeChat, message_id: object, client_msg_id: str
) -> None:
    """It may belong to a notice, so that no send gets it, not even one without an id."""
    wechat.answers[SEND] = [{"errcode": 0, "errmsg": "ok", "msgid": 0}]
    world = make_world(WECHAT_API_URL=wechat.url, WECHAT_CODE_TEMPLATE_ID="template")
    add_firm(world.service.hasher, openid="o-alice")
    send(world)
    written = io.StringIO()
    metrics.print_to(written)
    try:
        receipt(world, message_id, BLOCKED, client_msg_id=client_msg_id)
    finally:
        metrics.print_to(None)
    assert sends() == [(None, None, None)]
    assert '"ReceiptSkipped"' in written.getvalue()


def test_a_client_msg_id_of_another_openid_is_ignored(world: World, wechat: WeChat) -> None:
    """A receipt reaches only the sends to its own sender."""
    send(world)
    (mine,) = sent_client_msg_ids(wechat)
    receipt(world, 0, BLOCKED, openid="o-mallory", client_msg_id=mine)
    assert sends() == [("101", None, None)]


def test_a_pending_code_has_no_receipt(world: World, wechat: WeChat) -> None:
    """Nothing was pushed, so that the receipt belongs to another message."""
    wechat.answers[SEND] = [refusal(45009)]
    send(world)
    receipt(world, 101)
    assert sends() == [(None, None, "template refused: 45009")]


def test_operators_see_the_receipt(
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    serial_moto: None,
) -> None:
    """`account` and `audit` show that the message was not delivered and why, in Chinese."""
    monkeypatch.setenv("COLUMNS", "200")
    send(world)
    receipt(world, 101, BLOCKED)
    assert commands.main(["account", "11010148"]) == 0
    shown = capsys.readouterr().out
    assert words.FINDINGS["not-delivered"] in shown
    assert "未送达" in shown
    assert "用户拒收公众号消息" in shown
    assert commands.main(["audit", "11010148"]) == 0
    shown = capsys.readouterr().out
    assert "未送达" in shown
    assert "用户拒收公众号消息" in shown
