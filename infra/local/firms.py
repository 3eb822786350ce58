"""The firms listed on the phone page, with tags for the special case of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from chalicelib.domain.firms import FirmFacts
from infra.ops.files import directory_file

DEMO = Path(__file__).with_name("demo_firms.csv")

LISTED = 40
"""Maximum number of firms on the page."""

_LONG = 26


@dataclass(frozen=True)
class ListedFirm:
    """A firm in the page's JSON; `tags` are keys of the page's texts for special cases."""

    firm_no: str
    name: str
    approval_no: str
    head_name: str
    phone: str
    finance_phone: str
    tags: tuple[str, ...]


def listed(path: Path) -> list[ListedFirm]:
    """Return the first LISTED firms of a directory file. Raises DirectoryError, OSError."""
    sound = (row for row in directory_file.rows(path) if not row.faults)
    rows = [
        {name: value.strip() for name, value in row.values.items()} for row in islice(sound, LISTED)
    ]
    return described([row for row in rows if row.get("firm_no")])


def described(rows: Sequence[Mapping[str, str]]) -> list[ListedFirm]:
    """Return the firms of a directory's rows with their tags; a missing column counts as empty."""
    phones = Counter(number for row in rows for number in _phones(row))
    return [_listed(_facts(row), row, phones) for row in rows]


def _facts(row: Mapping[str, str]) -> FirmFacts:
    # Unparsed: rows that enrolment refuses are listed too.
    return FirmFacts(**{fact.name: row.get(fact.name, "") for fact in fields(FirmFacts)})


def _listed(facts: FirmFacts, row: Mapping[str, str], phones: Mapping[str, int]) -> ListedFirm:
    return ListedFirm(
        facts.firm_no,
        facts.name,
        facts.approval_no,
        facts.head_name,
        row.get("phone", ""),
        row.get("finance_phone", ""),
        tuple(_tags(facts, row, phones)),
    )


def _phones(row: Mapping[str, str]) -> set[str]:
    return {row.get(column, "") for column in ("phone", "finance_phone")} - {""}


def _tags(facts: FirmFacts, row: Mapping[str, str], phones: Mapping[str, int]) -> Iterable[str]:
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
    if len(facts.firm_no) > 8:
        yield "branch"
    if facts.head_id_last4.upper().endswith("X"):
        yield "id-x"
    if "·" in facts.head_name:
        yield "dotted-name"
    if len(facts.name) >= _LONG:
        yield "long-name"
    if facts.province != facts.firm_no[:2]:
        yield "moved"
    if not row.get("opening_password", ""):
        yield "no-password"
