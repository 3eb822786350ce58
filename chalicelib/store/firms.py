"""Firms, as the association registered them."""

from __future__ import annotations

from typing import NamedTuple

from .dynamo import read
from .models import FirmItem


class Firm(NamedTuple):
    """A firm or a branch; `head_id_last4` is three digits and a digit or X."""

    firm_no: str
    name: str
    province: str
    approval_no: str
    head_name: str
    head_id_last4: str


class Firms:
    """The table of firms."""

    def get(self, firm_no: str) -> Firm | None:
        """The firm by a consistent read, or None."""
        item = read(FirmItem, firm_no)
        if item is None:
            return None
        return Firm(
            firm_no=item.firm_no,
            name=item.name,
            province=item.province,
            approval_no=item.approval_no,
            head_name=item.head_name,
            head_id_last4=item.head_id_last4,
        )
