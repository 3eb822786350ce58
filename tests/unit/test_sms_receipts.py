"""Delivery receipts: the vendors' documented pushes, and everything else."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.sms import receipts
from chalicelib.sms.receipts import Batch, Receipt, ReceiptError
from tests.support.receipt_records import ALIYUN, PHONE, REFERENCE, SNS, TENCENT


def _push(*records: Any) -> bytes:
    return json.dumps(records, ensure_ascii=False).encode()


def _packed(batch: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()


def _batch(*lines: str) -> dict[str, Any]:
    events = [{"id": str(i), "timestamp": 1, "message": line} for i, line in enumerate(lines)]
    return {"messageType": "DATA_MESSAGE", "logEvents": events}


def test_aliyun_s_documented_push_is_read() -> None:
    """One push has a delivered and a failed message; times are Beijing's."""
    failed = {**ALIYUN, "success": False, "err_code": "MOBILE_NOT_ON_SERVICE", "err_msg": "停机"}
    assert receipts.aliyun(_push(ALIYUN, {**failed, "out_id": "", "report_time": ""})).receipts == [
        Receipt(
            "aliyun",
            reference=REFERENCE,
            message_id="108618224136411573^0",
            delivered=True,
            reason="DELIVERED 用户接收成功",
            at=1_483_200_007,
        ),
        Receipt(
            "aliyun",
            reference=None,
            message_id="108618224136411573^0",
            delivered=False,
            reason="MOBILE_NOT_ON_SERVICE 停机",
            at=None,
        ),
    ]


def test_tencent_s_documented_push_is_read() -> None:
    """The reference is there only for accounts that have `ext` enabled."""
    failed = {**TENCENT, "report_status": "FAIL", "errmsg": "MK:0001", "description": "空号"}
    assert receipts.tencent(_push(TENCENT, {**failed, "ext": REFERENCE})).receipts == [
        Receipt(
            "tencent",
            reference=None,
            message_id="2640:168418732616841873260",
            delivered=True,
            reason="DELIVRD 用户短信送达成功",
            at=1_445_040_184,
        ),
        Receipt(
            "tencent",
            reference=REFERENCE,
            message_id="2640:168418732616841873260",
            delivered=False,
            reason="MK:0001 空号",
            at=1_445_040_184,
        ),
    ]


def test_an_sns_delivery_log_is_read() -> None:
    """Its time is UTC, and the receipt came some milliseconds after the publishing it names."""
    assert receipts.sns(json.dumps(SNS)) == Receipt(
        "sns",
        reference=None,
        message_id="34d9b400-c6dd-5444-820d-fbeb0f1f54cf",
        delivered=True,
        reason="Message has been accepted by phone carrier",
        at=1_467_074_434 + 1,
    )


def test_an_sns_opt_out_is_a_failure_with_its_reason() -> None:
    """SNS accepts a message to an opted-out number and reports it only in its log."""
    delivery = {"providerResponse": "Phone number is opted out", "dwellTimeMs": 5}
    receipt = receipts.sns(json.dumps({**SNS, "delivery": delivery, "status": "FAILURE"}))
    assert (receipt.delivered, receipt.reason) == (False, "Phone number is opted out")


def test_a_batch_of_sns_logs_is_unpacked() -> None:
    """CloudWatch Logs sends base64 of gzip; its control message has no receipts."""
    line = json.dumps(SNS)
    batch = receipts.sns_batch(_packed(_batch(line, line)))
    assert batch == Batch("sns", [receipts.sns(line)] * 2, [])
    control = receipts.sns_batch(_packed({"messageType": "CONTROL_MESSAGE", "logEvents": [{}]}))
    assert control == Batch("sns", [], [])


@pytest.mark.parametrize(
    "quoted",
    [
        PHONE,
        f"+86{PHONE}",
        f"+86 {PHONE}",
        "138-0000-1234",
        "138 0000 1234",
        "138****1234",
        "１３８００００１２３４",
    ],
)
def test_no_receipt_holds_the_phone(quoted: str) -> None:
    """Not even where the vendor's text repeats it, in any spelling."""
    words = f"reject {quoted} no route"
    found = [
        *receipts.aliyun(_push({**ALIYUN, "err_msg": words})).receipts,
        *receipts.tencent(_push({**TENCENT, "description": words})).receipts,
        receipts.sns(json.dumps({**SNS, "delivery": {"providerResponse": words}})),
    ]
    for receipt in found:
        everything = " ".join(str(field) for field in astuple(receipt))
        assert quoted not in everything
        assert "1234" not in receipt.reason
        assert receipt.reason.endswith("no route")


def test_a_vendor_s_text_becomes_one_short_line() -> None:
    """A receipt cannot forge a line of the log."""
    words = "a\r\nERROR forged\x1b[31m\u2028b" + "x" * 10_000
    (receipt,) = receipts.aliyun(_push({**ALIYUN, "err_msg": words})).receipts
    assert receipt.reason.isprintable()
    assert len(receipt.reason) == receipts.MAXIMUM_REASON


@pytest.mark.parametrize("read", [receipts.aliyun, receipts.tencent])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"7",
        b'"[]"',
        b"<xml/>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[" + b" " * receipts.MAXIMUM_BYTES + b"]",
    ],
)
def test_malformed_pushes_are_refused(read: Any, body: bytes) -> None:
    """Each ends in the same error, whose text quotes nothing of the push."""
    with pytest.raises(ReceiptError) as caught:
        read(body)
    # A JSONDecodeError holds the whole document.
    assert caught.value.__context__ is None or caught.value.__suppress_context__


BAD_FIELDS: list[tuple[Any, dict[str, Any], str, Any]] = [
    (receipts.aliyun, ALIYUN, "success", "true"),
    (receipts.aliyun, ALIYUN, "success", 1),
    (receipts.aliyun, ALIYUN, "success", None),
    (receipts.aliyun, ALIYUN, "biz_id", ""),
    (receipts.aliyun, ALIYUN, "biz_id", 7),
    (receipts.aliyun, ALIYUN, "biz_id", "b" * 257),
    (receipts.aliyun, ALIYUN, "biz_id", "b\nforged"),
    (receipts.aliyun, ALIYUN, "out_id", 7),
    (receipts.aliyun, ALIYUN, "out_id", {"a": 1}),
    (receipts.aliyun, ALIYUN, "out_id", "o" * 257),
    (receipts.tencent, TENCENT, "report_status", "success"),
    (receipts.tencent, TENCENT, "report_status", "UNKNOWN"),
    (receipts.tencent, TENCENT, "report_status", True),
    (receipts.tencent, TENCENT, "report_status", []),
    (receipts.tencent, TENCENT, "sid", None),
    (receipts.tencent, TENCENT, "sid", ""),
    (receipts.tencent, TENCENT, "sid", 7),
    (receipts.tencent, TENCENT, "ext", 7),
    (receipts.tencent, TENCENT, "ext", {"a": 1}),
    (receipts.tencent, TENCENT, "ext", "e" * 300),
]


@pytest.mark.parametrize(("read", "record", "name", "value"), BAD_FIELDS)
def test_an_entry_of_another_form_is_skipped(read: Any, record: Any, name: str, value: Any) -> None:
    """The entries beside it are read, and the reason names the field and quotes nothing.

    Tencent Cloud returns up to 512 bytes of SessionContext as `ext`, and other programs of the
    account put numbers and JSON into it and into Aliyun's OutId.
    Source: cloud.tencent.com/document/api/382/55981, SessionContext.
    """
    whole = read(_push(record)).receipts
    for entries in ([record, None, record], [None, record, record], [record, record, None]):
        foreign = [{**record, name: value} if entry is None else entry for entry in entries]
        batch = read(_push(*foreign))
        assert batch.receipts == whole * 2
        (reason,) = batch.skipped
        assert reason.startswith(name)
        assert not re.search(r"[0-9]|true|forged|bbb|ooo|eee|UNKNOWN", reason)


@pytest.mark.parametrize("read", [receipts.aliyun, receipts.tencent])
@pytest.mark.parametrize("entry", [b"null", b"[]", b"{}", b"7", b'"x"', b'{"success":1}'])
def test_an_entry_that_is_no_receipt_is_skipped(read: Any, entry: bytes) -> None:
    """A push of nothing else is taken too: the vendor would repeat it in vain."""
    batch = read(b"[" + entry + b"," + entry + b"]")
    assert batch.receipts == []
    assert len(batch.skipped) == 2
    assert read(b"[]").skipped == []


def test_broken_text_in_one_entry_does_not_spoil_the_others() -> None:
    """Control characters that are not escaped, GBK, and a byte order mark."""
    push = _push({**ALIYUN, "err_msg": "@"}, ALIYUN)
    for broken in (b"\x00\t\x1f", "停机".encode("gbk"), b"\xff\xed\xa0\xbd"):
        for bom in (b"", b"\xef\xbb\xbf"):
            batch = receipts.aliyun(bom + push.replace(b"@", broken))
            assert [receipt.message_id for receipt in batch.receipts] == [ALIYUN["biz_id"]] * 2
            assert batch.receipts[0].reason.isprintable()
            assert batch.skipped == []


@pytest.mark.parametrize("read", [receipts.aliyun, receipts.tencent])
def test_a_push_of_too_many_receipts_is_refused(read: Any) -> None:
    """More than any vendor pushes at once."""
    record = b'{"a":1}'
    with pytest.raises(ReceiptError, match="too many"):
        read(b"[" + b",".join([record] * (receipts.MAXIMUM_RECEIPTS + 1)) + b"]")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "START RequestId",
        json.dumps({**SNS, "status": "PENDING"}),
        json.dumps({**SNS, "status": {}}),
        json.dumps({**SNS, "delivery": None}),
        json.dumps({**SNS, "notification": {}}),
    ],
)
def test_a_log_line_that_is_no_delivery_is_refused(line: str) -> None:
    """In a batch it is skipped."""
    with pytest.raises(ReceiptError):
        receipts.sns(line)
    good = json.dumps(SNS)
    batch = receipts.sns_batch(_packed(_batch(good, line, good)))
    assert batch.receipts == [receipts.sns(good)] * 2
    assert len(batch.skipped) == 1


def test_an_event_without_a_line_is_skipped() -> None:
    """The lines beside it are read."""
    events = [{"message": None}, {"message": json.dumps(SNS)}, 7]
    batch = receipts.sns_batch(_packed({"messageType": "DATA_MESSAGE", "logEvents": events}))
    assert batch.receipts == [receipts.sns(json.dumps(SNS))]
    assert len(batch.skipped) == 2


def _cut() -> str:
    whole = gzip.compress(json.dumps(_batch(json.dumps(SNS))).encode())
    return base64.b64encode(whole[:-20]).decode()


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "not base64!",
        "汉字",
        base64.b64encode(b"not gzip").decode(),
        _cut(),
        _packed([]),
        _packed({"messageType": "DATA_MESSAGE"}),
        _packed({"messageType": "OTHER", "logEvents": []}),
        "A" * (receipts.MAXIMUM_BYTES + 1),
    ],
    ids=range(9),
)
def test_malformed_batches_are_refused(packed: str) -> None:
    """Truncated, of another form, or not of logs."""
    with pytest.raises(ReceiptError):
        receipts.sns_batch(packed)


def test_a_decompression_bomb_is_not_unpacked() -> None:
    """Fifty kilobytes that unpack to fifty megabytes are refused early."""
    packed = base64.b64encode(gzip.compress(b" " * 50_000_000)).decode()
    tracemalloc.start()
    try:
        with pytest.raises(ReceiptError, match="too large"):
            receipts.sns_batch(packed)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "time",
    [
        "",
        None,
        7,
        "today",
        "2017-02-30 00:00:00",
        "2017-01-01T00:00:00+00:00",
        "٢٠١٧-01-01 00:00:00",
    ],
)
def test_a_malformed_time_is_left_out(time: Any) -> None:
    """The delivery result counts all the same."""
    (receipt,) = receipts.aliyun(_push({**ALIYUN, "report_time": time})).receipts
    assert receipt.at is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


def _mutated(record: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(record)), JSON, max_size=3).map(
        lambda changes: {**record, **changes}
    )


@given(_mutated(ALIYUN), _mutated({**TENCENT, "ext": ""}), _mutated(SNS))
def test_any_json_in_any_field_is_read_or_skipped(
    aliyun: dict[str, Any], tencent: dict[str, Any], sns: dict[str, Any]
) -> None:
    """No value makes a parser fail in another way, and none spoils the entry beside it."""
    line = json.dumps(SNS)
    for batch in (
        receipts.aliyun(_push(aliyun, ALIYUN)),
        receipts.tencent(_push(tencent, TENCENT)),
        receipts.sns_batch(_packed(_batch(json.dumps(sns), line))),
    ):
        assert len(batch.receipts) + len(batch.skipped) == 2
        assert batch.receipts[-1].delivered
        for receipt in batch.receipts:
            assert isinstance(receipt.delivered, bool)
            assert receipt.reason.isprintable()


@given(st.binary(max_size=200), st.text(max_size=200))
def test_any_bytes_are_refused_or_empty(body: bytes, packed: str) -> None:
    """They end in the one error, or in no receipts."""
    readers: tuple[Callable[[], Batch], ...] = (
        lambda: receipts.aliyun(body),
        lambda: receipts.tencent(body),
        lambda: receipts.sns_batch(packed),
    )
    for read in readers:
        with contextlib.suppress(ReceiptError):
            assert read().receipts == []


@pytest.mark.parametrize(
    ("answer", "field"), [(receipts.ALIYUN_TAKEN, "code"), (receipts.TENCENT_TAKEN, "result")]
)
def test_the_answers_that_end_a_vendor_s_repeats(answer: str, field: str) -> None:
    """Each vendor requires the number 0 in its own field."""
    assert json.loads(answer)[field] == 0
