"""A firm's registered facts, in one type from a directory file's row to the table's item."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FirmFacts:
    """A firm or a branch as registered by the association.

    The fields have the names of the directory file's columns and of the `firms` table's attributes.
    """

    firm_no: str
    """8 to 20 digits."""
    name: str
    province: str
    """Administrative division code, two digits."""
    approval_no: str
    """Number of the approval to practise, such as 京财会许可〔2012〕0084号."""
    head_name: str
    """Chief accountant or managing partner."""
    head_id_last4: str = field(repr=False)
    """Last four characters of the head's ID number: three digits and a digit or X."""


def counts_as_erased(erased_at: float | None, now: int) -> bool:
    """Return whether the data of a firm that was closed counts as erased; times in epoch seconds.

    DynamoDB deletes the items up to days later.
    """
    return erased_at is not None and erased_at <= now
