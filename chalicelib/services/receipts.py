"""Store the delivery receipts of SMS vendors on the sends they belong to, for operators."""

from __future__ import annotations

import logging
import re

from ..sms.receipts import Batch, Receipt
from ..store import audit
from .ports import Count

log = logging.getLogger(__name__)

# The reference that `CodeDelivery` sends along: the login and the key of the send's audit item.
_REFERENCE = re.compile(r"(?P<login>[0-9]{8,20}(?:_cw)?)/(?P<at>[0-9]{13}-[0-9a-f]{16,64})")


class Receipts:
    """Stores receipts on the sends that they belong to."""

    def __init__(self, *, count: Count) -> None:
        self._count = count

    def add(self, batch: Batch) -> int:
        """Store each receipt on its send and return how many were matched to one.

        Receipts of notices, of other programs of the same vendor account, and of old sends match
        none and are ignored. Storing a receipt again changes nothing. Raises Unavailable; the
        vendor may then push all of them again.
        """
        if batch.skipped:
            self._count("ReceiptSkipped", len(batch.skipped), gateway=batch.gateway)
            reasons = "; ".join(sorted(set(batch.skipped)))
            log.warning("%s receipts of %s skipped: %s", len(batch.skipped), batch.gateway, reasons)
        matched = sum(self._add(receipt) for receipt in batch.receipts)
        log.info("receipts stored", extra={"receipts": len(batch.receipts), "found": matched})
        return matched

    def _add(self, receipt: Receipt) -> bool:
        send = _referenced(receipt.reference)
        if send is None and receipt.message_id is not None:
            send = audit.message_of(receipt.gateway, receipt.message_id)
        if send is None or receipt.message_id is None:
            return False
        login, at = send
        return audit.add_receipt(
            login,
            at,
            receipt.message_id,
            "delivered" if receipt.delivered else "failed",
            receipt.reason or None,
            gateway=receipt.gateway,
        )


def _referenced(reference: str | None) -> tuple[str, str] | None:
    match = _REFERENCE.fullmatch(reference or "")
    return None if match is None else (match["login"], match["at"])
