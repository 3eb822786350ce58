"""Delivery receipts come in: pushed by vendors over HTTP, or as delivery logs of Amazon SNS.

The vendors sign nothing, so that an address nobody can guess stands in for a signature. SNS pushes
nothing; it writes to CloudWatch Logs, whose subscription calls a function of its own. Operators'
commands could read those logs instead, but then each question would search all of them, and the
history of a login would lack what became of its codes.
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
from .http import payloads
from .http.problems import HEADERS, problem, render_errors

if TYPE_CHECKING:
    from ..sms import receipts as vendors

log = logging.getLogger(__name__)

blueprint = Blueprint(__name__)


@blueprint.route("/receipts/aliyun/{key}", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def aliyun(key: str) -> Response:
    """A push of Aliyun's SmsReport."""
    from ..sms import receipts as vendors

    return _take(key, vendors.aliyun, vendors.ALIYUN_TAKEN)


@blueprint.route("/receipts/tencent/{key}", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def tencent(key: str) -> Response:
    """A status callback of Tencent Cloud."""
    from ..sms import receipts as vendors

    return _take(key, vendors.tencent, vendors.TENCENT_TAKEN)


def _take(key: str, read: Callable[[bytes], list[vendors.Receipt]], taken: str) -> Response:
    from ..sms import receipts as vendors

    service = runtime.service()
    wanted = service.settings.receipts_path
    if not hmac.compare_digest(key.encode("utf-8", "replace"), wanted.key()) or not wanted:
        # As any address that is not there, so that nobody learns how near a guess came.
        return problem("not-found", 404)
    try:
        found = read(payloads.raw_body(blueprint.current_request))
    except vendors.ReceiptError as error:
        log.warning("a push of receipts was refused: %s", error)
        raise InvalidInput("body", INPUT_REASONS["body"]) from None
    service.receipts.take(found)
    headers = {**HEADERS, "Content-Type": "application/json; charset=utf-8"}
    return Response(taken, headers=headers)


def from_logs(event: Mapping[str, Any]) -> dict[str, int]:
    """What CloudWatch Logs hands to a function: a batch of SNS's delivery logs.

    Raises Unavailable, whereupon Lambda calls again. A batch that cannot be read would never become
    readable, so that it is dropped, and told.
    """
    from ..sms import receipts as vendors

    try:
        found = vendors.sns_batch(event["awslogs"]["data"])
    except (vendors.ReceiptError, KeyError, TypeError) as error:
        log.error(
            "delivery logs could not be read: %s",
            error if isinstance(error, vendors.ReceiptError) else "not of CloudWatch Logs",
            extra={"alarm": "receipts"},
        )
        return {"receipts": 0, "found": 0}
    return {"receipts": len(found), "found": runtime.service().receipts.take(found)}
