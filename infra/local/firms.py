"""The firms that the phone page lists, with what each one is there to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from infra.ops import directory_file

DEMO = Path(__file__).with_name("demo_firms.csv")

LISTED = 40
"""Firms that fit on the page."""

_LONG = 26


@dataclass(frozen=True)
class ListedFirm:
    """A firm of the directory file. `tags` are the page's names of what is special about it."""

    firm_no: str
    name: str
    approval_no: str
    head_name: str
    phone: str
    finance_phone: str
    tags: tuple[str, ...]


def listed(path: Path) -> list[ListedFirm]:
    """The first firms of a directory file. Raises DirectoryError, OSError."""
    read = (row for row in directory_file.rows(path) if not row.faults)
    rows = [
        {name: value.strip() for name, value in row.values.items()} for row in islice(read, LISTED)
    ]
    return described([row for row in rows if row.get("firm_no")])


def described(rows: Sequence[Mapping[str, str]]) -> list[ListedFirm]:
    """Rows of a directory with their tags."""
    phones = Counter(number for row in rows for number in _phones(row))
    return [
        ListedFirm(
            row["firm_no"],
            row.get("name", ""),
            row.get("approval_no", ""),
            row.get("head_name", ""),
            row.get("phone", ""),
            row.get("finance_phone", ""),
            tuple(_tags(row, phones)),
        )
        for row in rows
    ]


def _phones(row: Mapping[str, str]) -> set[str]:
    return {row.get(column, "") for column in ("phone", "finance_phone")} - {""}


def _tags(row: Mapping[str, str], phones: Mapping[str, int]) -> Iterable[str]:
    main, finance = row.get("phone", ""), row.get("finance_phone", "")
    if not main and not finance:
        yield "no-phone"
    elif not finance:
        yield "main-phone-only"
    elif not main:
        yield "finance-phone-only"
    else:
        yield "one-phone" if main == finance else "two-phones"
    if any(phones[number] > 1 for number in _phones(row)):
        yield "shared-phone"
    if len(row["firm_no"]) > 8:
        yield "branch"
    if row.get("head_id_last4", "").upper().endswith("X"):
        yield "id-x"
    if "·" in row.get("head_name", ""):
        yield "dotted-name"
    if len(row.get("name", "")) >= _LONG:
        yield "long-name"
    if row.get("province", "") != row["firm_no"][:2]:
        yield "moved"
    if not row.get("opening_password", ""):
        yield "no-password"
