"""The HTTP routes of delivery receipts: their secret path, and malformed pushes."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import app, sms_receipts
from chalicelib.domain.errors import Unavailable
from chalicelib.handlers import receipts as handler
from chalicelib.store import audit
from chalicelib.telemetry import metrics
from tests.conftest import World
from tests.support.log_capture import Watched
from tests.support.receipt_cases import (
    KEY,
    PHONE,
    Make,
    aliyun,
    code_sent,
    fate,
    logs,
    push,
    sns_line,
    tencent,
)


def test_the_function_is_one_of_the_app_s() -> None:
    """It is packaged under the name that the subscription invokes."""
    assert [f.name for f in app.pure_lambda_functions if f.name == "sms_receipts"]


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
@pytest.mark.parametrize("key", [KEY[:-1], KEY + "0", KEY.swapcase(), "x", "%E7%A7%98", "null"])
def test_a_wrong_path_is_not_found(make: Make, vendor: str, key: str) -> None:
    """As any unknown address, before the body is read."""
    world = make("aliyun")
    at = code_sent(world).at
    answer = push(world, vendor, aliyun(f"11010148/{at}"), key=key)
    assert (answer.status_code, answer.json_body["code"]) == (404, "not-found")
    assert fate()[2] is None
    unread = world.call("POST", f"/receipts/{vendor}/{key}", b"rubbish")
    assert unread.json_body == answer.json_body


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
def test_without_the_setting_every_path_is_not_found(world: World, vendor: str) -> None:
    """An empty setting opens nothing."""
    for key in ("x", "%20", KEY):
        assert push(world, vendor, aliyun(None), key=key).status_code == 404
    assert getattr(handler, vendor)("").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"7", b"\xff", b"[" * 5000, b"<xml/>"])
@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
def test_a_malformed_push_is_refused(make: Make, vendor: str, body: bytes) -> None:
    """With a problem and never a 500."""
    world = make("aliyun")
    answer = world.call("POST", f"/receipts/{vendor}/{KEY}", body)
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")


FOREIGN: dict[str, list[Any]] = {
    "aliyun": [
        {**aliyun(None), "out_id": 20270115},
        {**aliyun(None), "success": "true"},
        {**aliyun(None), "biz_id": ""},
        {},
        None,
        "text",
    ],
    "tencent": [
        tencent(ext="e" * 300),
        tencent(ext=7),
        tencent(ext={"order": 7}),
        tencent(sid=""),
        {**tencent(), "report_status": "UNKNOWN"},
        [],
    ],
}


@pytest.mark.parametrize("vendor", FOREIGN)
def test_an_entry_of_another_program_does_not_lose_the_others(
    make: Make, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The push is taken, our receipt stored, and the other entries are counted."""
    world = make(vendor)
    at = code_sent(world).at
    ours = aliyun(f"11010148/{at}") if vendor == "aliyun" else tencent()
    written = io.StringIO()
    metrics.print_to(written)
    try:
        answer = push(world, vendor, *FOREIGN[vendor], ours, *FOREIGN[vendor])
    finally:
        metrics.print_to(None)
    assert answer.status_code == 200
    assert fate()[2] == "delivered"
    assert f'"gateway": "{vendor}"' in written.getvalue()
    assert '"ReceiptSkipped": [12.0]' in written.getvalue()
    assert f"12 receipts of {vendor} skipped" in caplog.text
    assert PHONE not in caplog.text
    assert push(world, vendor, *FOREIGN[vendor]).status_code == 200


def test_a_line_of_another_form_does_not_lose_the_others(make: Make) -> None:
    """In the delivery log of SNS; a batch of such lines alone is dropped with an alarm."""
    world = make("sns")
    at = code_sent(world).at
    audit.name_message("sns", "m-1", "11010148", at, world.clock())
    fate_of = sms_receipts(logs({"status": "PENDING"}, sns_line("m-1"), "text", None), None)
    assert fate_of == {"receipts": 1, "found": 1}


def test_any_json_is_taken_or_refused(make: Make) -> None:
    """No push is answered with an error of the service."""
    world = make("aliyun")
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(PHONE)
    names = st.sampled_from([*aliyun(None), *tencent(), "ext"])
    entries = st.dictionaries(names, leaves | st.lists(leaves, max_size=2), max_size=4)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(leaves | entries, max_size=3) | leaves, st.sampled_from(list(FOREIGN)))
    def any_push(body: Any, vendor: str) -> None:
        answer = world.call("POST", f"/receipts/{vendor}/{KEY}", json.dumps(body).encode())
        assert answer.status_code == (200 if isinstance(body, list) else 422)

    any_push()


def test_a_failure_of_the_store_makes_the_vendor_repeat(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP gets a 503 and the function raises, so that the vendors and Lambda repeat."""
    world = make("aliyun")
    at = code_sent(world).at
    audit.name_message("sns", "m-1", "11010148", at, world.clock())

    def down(*_: Any) -> None:
        raise Unavailable("store")

    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.store.audit.update", down)
        assert push(world, "aliyun", aliyun(f"11010148/{at}")).status_code == 503
        with pytest.raises(Unavailable):
            sms_receipts(logs(sns_line("m-1")), None)
    assert push(world, "aliyun", aliyun(f"11010148/{at}")).status_code == 200
    assert fate()[2] == "delivered"


def test_unreadable_logs_are_dropped_with_an_alarm(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Repeats by Lambda could not make them readable."""
    make("sns")
    nothing = {"receipts": 0, "found": 0}
    for event in ({}, {"awslogs": {"data": "x"}}, {"awslogs": None}, logs({"status": "SUCCESS"})):
        assert sms_receipts(event, None) == nothing
    alarms = [record.__dict__.get("alarm") for record in caplog.records]
    assert alarms.count("receipts") == 4


def test_no_receipt_stores_or_logs_a_phone(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Only the login's own item contains it."""
    world = make("aliyun")
    at = code_sent(world).at
    record = aliyun(f"11010148/{at}", success=False)
    push(world, "aliyun", {**record, "err_msg": f"{PHONE} 停机"})
    push(world, "aliyun", {**record, "success": PHONE})
    client = boto3.client("dynamodb")
    for table in ("recovery-audit", "recovery-ephemera"):
        assert PHONE not in json.dumps(client.scan(TableName=table)["Items"])
    assert PHONE not in caplog.text
    assert KEY not in caplog.text


def test_delivered_and_failed_messages_are_counted(make: Make, watched: Watched) -> None:
    """The alarm on undelivered messages needs both; a refused push counts nothing."""
    world = make("aliyun")
    batch = [aliyun(None), aliyun(None, success=False), aliyun(None)]
    assert push(world, "aliyun", *batch).status_code == 200
    assert push(world, "aliyun", *batch, key="x").status_code == 404
    figures = watched.figures()
    assert figures["SmsReceipt outcome=delivered"] == 2
    assert figures["SmsReceipt outcome=failed"] == 1
