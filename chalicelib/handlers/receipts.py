"""Receive delivery receipts: pushed by vendors over HTTP, or as delivery logs of Amazon SNS.

The vendors do not sign their requests, so a secret path authenticates them. SNS pushes nothing; it
writes to CloudWatch Logs, whose subscription invokes a function of its own. Operators' commands
could read those logs instead, but then each query would search all of them, and the history of a
login would lack the receipts of its codes.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Response

from .. import runtime
from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput
from ..telemetry.metrics import count
from .http import payloads
from .http.problems import HEADERS, problem, render_errors

if TYPE_CHECKING:
    from ..sms import receipts as vendors

log = logging.getLogger(__name__)

blueprint = Blueprint(__name__)


@blueprint.route("/receipts/aliyun/{key}", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def aliyun(key: str) -> Response:
    """Receive a push of Aliyun's SmsReport."""
    from ..sms import receipts as vendors

    return _receive(key, vendors.aliyun, vendors.ALIYUN_TAKEN)


@blueprint.route("/receipts/tencent/{key}", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def tencent(key: str) -> Response:
    """Receive a status callback of Tencent Cloud."""
    from ..sms import receipts as vendors

    return _receive(key, vendors.tencent, vendors.TENCENT_TAKEN)


def _receive(key: str, parse: Callable[[bytes], vendors.Batch], reply: str) -> Response:
    from ..sms import receipts as vendors

    service = runtime.service()
    expected = service.settings.receipts_path
    if not hmac.compare_digest(key.encode("utf-8", "replace"), expected.key()) or not expected:
        # The same response as for any unknown path, so that a guess reveals nothing.
        return problem("not-found", 404)
    try:
        batch = parse(payloads.raw_body(blueprint.current_request))
    except vendors.ReceiptError as error:
        log.warning("a push of receipts was refused: %s", error)
        raise InvalidInput("body", INPUT_REASONS["body"]) from None
    service.receipts.add(batch)
    _count(batch)
    headers = {**HEADERS, "Content-Type": "application/json; charset=utf-8"}
    return Response(reply, headers=headers)


def from_logs(event: Mapping[str, Any]) -> dict[str, int]:
    """Store a batch of SNS's delivery logs, as CloudWatch Logs sends it to a function.

    Raises Unavailable; Lambda then invokes the function again. A batch without any readable line
    would never become readable, so it is dropped, and logged with an alarm.
    """
    from ..sms import receipts as vendors

    try:
        batch = vendors.sns_batch(event["awslogs"]["data"])
        if batch.skipped and not batch.receipts:
            raise vendors.ReceiptError(batch.skipped[0])
    except (vendors.ReceiptError, KeyError, TypeError) as error:
        log.error(
            "delivery logs could not be read: %s",
            error if isinstance(error, vendors.ReceiptError) else "not of CloudWatch Logs",
            extra={"alarm": "receipts"},
        )
        return {"receipts": 0, "found": 0}
    found = runtime.service().receipts.add(batch)
    _count(batch)
    return {"receipts": len(batch.receipts), "found": found}


def _count(batch: vendors.Batch) -> None:
    """Count delivered and failed messages; those of the vendor account's other programs as well."""
    delivered = sum(receipt.delivered for receipt in batch.receipts)
    if delivered:
        count("SmsReceipt", delivered, outcome="delivered")
    if failed := len(batch.receipts) - delivered:
        count("SmsReceipt", failed, outcome="failed")
