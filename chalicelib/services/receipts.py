"""Vendors tell what became of the messages that they took; it ends on the sends, for operators."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from ..sms.receipts import Receipt
from ..store import audit

log = logging.getLogger(__name__)

# What `Delivery` names a code's send to a gateway: its login and the key of its event.
_REFERENCE = re.compile(r"(?P<login>[0-9]{8,20}(?:_cw)?)/(?P<at>[0-9]{13}-[0-9a-f]{16,64})")


class Receipts:
    """Puts receipts on the sends that they belong to."""

    def take(self, receipts: Sequence[Receipt]) -> int:
        """Put each receipt on its send; how many of them found one.

        Those of notices, of other programs of the same account, and of sends long past find none,
        and are passed over. Taking a receipt again changes nothing. Raises Unavailable, after which
        the vendor may push all of them once more.
        """
        found = sum(self._take(receipt) for receipt in receipts)
        log.info("receipts taken", extra={"receipts": len(receipts), "found": found})
        return found

    def _take(self, receipt: Receipt) -> bool:
        send = _named(receipt.reference)
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


def _named(reference: str | None) -> tuple[str, str] | None:
    match = _REFERENCE.fullmatch(reference or "")
    return None if match is None else (match["login"], match["at"])
