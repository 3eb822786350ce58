"""Delivery receipts: the vendors' reports, seconds to days later, on accepted messages.

How each vendor's push is authenticated:

- Aliyun (`SmsReport`, HTTP push) documents neither a signature nor its addresses. The route must
  have an unguessable path. It repeats a push after 1, 5 and 10 minutes unless the response is HTTP
  200 with ALIYUN_TAKEN. Source: help.aliyun.com/zh/sms/developer-reference/smsreport-2
- Tencent Cloud (status callback) documents no signature either, only a changing list of its
  addresses. The route must have an unguessable path. A push has up to 100 receipts and is repeated
  twice unless the response is TENCENT_TAKEN.
  Source: cloud.tencent.com/document/product/382/59178
- Amazon SNS writes delivery logs to CloudWatch Logs of the same account; a subscription filter
  invokes a Lambda function, which is protected by IAM.
  Source: docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html

So a receipt is only information for operators; no decision depends on it. Vendors push receipts
repeatedly and in any order. Receipts contain the phone number, which is never stored, not even as
part of the vendor's reason.

The vendor's account may have other programs, and vendors push the receipts of all of them. So an entry
that cannot be read is skipped, and only a push that is no list of entries is refused: the vendor would
repeat it, and the receipts beside it would be lost.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

MAXIMUM_BYTES = 262_144
"""Limit of a push or of a decompressed batch of logs. A hundred receipts have about 40,000."""
MAXIMUM_RECEIPTS = 1_000
MAXIMUM_ID = 256
MAXIMUM_REASON = 120

ALIYUN_TAKEN = '{"code":0,"msg":"OK"}'
TENCENT_TAKEN = '{"result":0,"errmsg":"OK"}'

# Both vendors give Beijing times without a zone.
_BEIJING = timezone(timedelta(hours=8))
# Seven or more digits, with spaces or hyphens between them, may be a phone.
_PHONE = re.compile(r"\+?\d(?:[ \-]{0,2}\d){6,}")
_MASKED = re.compile(r"\d{1,4}\*{2,}\d{0,4}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")


class ReceiptError(ValueError):
    """A push in a form that no vendor documents, not JSON, or too large.

    The text is the reason and quotes nothing of the push.
    """


@dataclass(frozen=True)
class Receipt:
    """The report on one message."""

    gateway: str
    reference: str | None
    """`Sms.reference`, where the vendor returns it."""
    message_id: str | None
    """The vendor's id of the message, `Attempt.message_id`."""
    delivered: bool
    reason: str
    """The vendor's code and text, such as `MOBILE_NOT_ON_SERVICE 停机`, with numbers masked."""
    at: int | None
    """Time of the report in epoch seconds; None where the vendor gives none."""


class Batch(NamedTuple):
    """The entries of one push, or of one batch of logs."""

    gateway: str
    receipts: list[Receipt]
    skipped: list[str]
    """Why each other entry could not be read."""


def aliyun(body: bytes) -> Batch:
    """Return the receipts of an SmsReport push. Raises ReceiptError."""
    return _batch("aliyun", _records(body), _aliyun)


def tencent(body: bytes) -> Batch:
    """Return the receipts of a status callback. Raises ReceiptError.

    `ext` contains our reference only where Tencent Cloud has enabled it for the account.
    """
    return _batch("tencent", _records(body), _tencent)


def sns(line: str) -> Receipt:
    """Return the receipt in a line of an SNS delivery log. Raises ReceiptError."""
    return _sns(_object(_json(line)))


def sns_batch(packed: str) -> Batch:
    """Return the receipts in `event["awslogs"]["data"]`, as sent by CloudWatch Logs.

    It is base64 of gzip of JSON. A control message, by which CloudWatch tests the destination,
    contains none. Raises ReceiptError.
    """
    batch = _object(_json(_unpack(packed)))
    if batch.get("messageType") == "CONTROL_MESSAGE":
        return Batch("sns", [], [])
    events = batch.get("logEvents")
    if batch.get("messageType") != "DATA_MESSAGE" or not isinstance(events, list):
        raise ReceiptError("not a batch of logs")
    return _batch("sns", events, lambda event: sns(_text(event, "message", MAXIMUM_BYTES)))


def _aliyun(record: Mapping[str, Any]) -> Receipt:
    success = record.get("success")
    if not isinstance(success, bool):
        raise ReceiptError("success is not a boolean")
    return Receipt(
        "aliyun",
        reference=_optional(record, "out_id"),
        message_id=_id(record, "biz_id"),
        delivered=success,
        reason=_reason(record.get("err_code"), record.get("err_msg")),
        at=_time(record.get("report_time"), _BEIJING),
    )


def _tencent(record: Mapping[str, Any]) -> Receipt:
    status = record.get("report_status")
    if status not in ("SUCCESS", "FAIL"):
        raise ReceiptError("report_status is neither SUCCESS nor FAIL")
    return Receipt(
        "tencent",
        reference=_optional(record, "ext"),
        message_id=_id(record, "sid"),
        delivered=status == "SUCCESS",
        reason=_reason(record.get("errmsg"), record.get("description")),
        at=_time(record.get("user_receive_time"), _BEIJING),
    )


def _sns(record: Mapping[str, Any]) -> Receipt:
    notification, delivery = record.get("notification"), record.get("delivery")
    if not isinstance(notification, dict) or not isinstance(delivery, dict):
        raise ReceiptError("not a delivery log")
    status = record.get("status")
    if status not in ("SUCCESS", "FAILURE"):
        raise ReceiptError("status is neither SUCCESS nor FAILURE")
    published = _time(notification.get("timestamp"), UTC)
    return Receipt(
        "sns",
        reference=None,
        message_id=_id(notification, "messageId"),
        delivered=status == "SUCCESS",
        reason=_reason(delivery.get("providerResponse")),
        at=None if published is None else published + _dwell(delivery) // 1_000,
    )


def _dwell(delivery: Mapping[str, Any]) -> int:
    # The log's timestamp is that of publishing; the receipt arrives so many milliseconds later.
    for name in ("dwellTimeMsUntilDeviceAck", "dwellTimeMs"):
        passed = delivery.get(name)
        if isinstance(passed, int) and 0 <= passed < 10**9:
            return passed
    return 0


def _batch(gateway: str, records: list[Any], read: Callable[[Mapping[str, Any]], Receipt]) -> Batch:
    if len(records) > MAXIMUM_RECEIPTS:
        raise ReceiptError("too many receipts")
    batch = Batch(gateway, [], [])
    for record in records:
        try:
            batch.receipts.append(read(_object(record)))
        except ReceiptError as error:
            batch.skipped.append(str(error))
    return batch


def _records(body: bytes) -> list[Any]:
    if len(body) > MAXIMUM_BYTES:
        raise ReceiptError("too large")
    parsed = _json(body)
    if not isinstance(parsed, list):
        raise ReceiptError("not a JSON array")
    return parsed


def _json(document: bytes | str) -> Any:
    # One entry's broken text must not spoil the others.
    text = document if isinstance(document, str) else document.decode("utf-8-sig", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        # The cause would quote the document, which contains a phone number.
        raise ReceiptError("not JSON") from None


def _unpack(packed: str) -> bytes:
    if len(packed) > MAXIMUM_BYTES:
        raise ReceiptError("too large")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(base64.b64decode(packed, validate=True), MAXIMUM_BYTES)
    except (binascii.Error, zlib.error, ValueError):
        raise ReceiptError("not base64 of gzip") from None
    if not unpacker.eof:
        raise ReceiptError("too large or cut off")
    return unpacked


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ReceiptError("not a JSON object")
    return value


def _text(record: Mapping[str, Any], name: str, maximum: int) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value or len(value) > maximum:
        raise ReceiptError(f"{name} is missing, too long or not a text")
    return value


def _id(record: Mapping[str, Any], name: str) -> str:
    value = _text(record, name, MAXIMUM_ID)
    if not value.isprintable():
        raise ReceiptError(f"{name} has control characters")
    return value


def _optional(record: Mapping[str, Any], name: str) -> str | None:
    return _id(record, name) if record.get(name) not in (None, "") else None


def _time(value: Any, zone: timezone) -> int | None:
    # The time is empty where the message was not delivered.
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return int(datetime.fromisoformat(value).replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        return None


def _reason(*parts: Any) -> str:
    text = " ".join(part for part in parts if isinstance(part, str))
    clean = "".join(c if c.isprintable() else " " for c in text[: 4 * MAXIMUM_REASON])
    masked = _MASKED.sub("…", _PHONE.sub("…", clean))
    return " ".join(masked.split())[:MAXIMUM_REASON]
