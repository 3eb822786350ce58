"""A row of the directory file: its columns, and the firm that it describes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from chalicelib.domain.catalogue import DIRECTORY_FAULTS, DIRECTORY_NOTES, fill
from chalicelib.domain.firms import FirmFacts
from chalicelib.domain.logins import fold
from chalicelib.security import foreign_hashes

from . import cells
from .trimming import trimmed


@dataclass(frozen=True)
class Column:
    """A column of the directory file, by its names in the header row."""

    name: str
    chinese: str
    parse: Callable[[str], str]
    required: bool = True


COLUMNS: tuple[Column, ...] = (
    Column("firm_no", "会计师事务所编号", cells.parse_firm_no),
    Column("name", "名称", cells.parse_text),
    Column("province", "省份", cells.parse_province),
    Column("approval_no", "批准文号", cells.parse_text),
    Column("head_name", "主任会计师", cells.parse_text),
    Column("head_id_last4", "身份证后四位", cells.parse_last4),
    Column("phone", "手机号", cells.parse_phone, required=False),
    Column("finance_phone", "财务手机号", cells.parse_phone, required=False),
    Column("opening_password", "开户密码", cells.parse_password, required=False),
)
"""Every column of the file; the first six are the fields of FirmFacts."""

COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)

_BY_HEADER = {header: column.name for column in COLUMNS for header in (column.name, column.chinese)}


def column_name(header: str) -> str:
    """Return the column of a header cell in English or Chinese, or the cell itself."""
    visible = "".join(header.split())
    if any(unicodedata.category(c) == "Cc" for c in visible):
        return header.strip()
    folded = fold(visible).strip("\"'").lower()
    return _BY_HEADER.get(folded, folded)


@dataclass(frozen=True)
class Row:
    """A row of a file; `number` counts as a spreadsheet does, the header being 1."""

    number: int
    values: Mapping[str, str] = field(repr=False)
    """Texts by column; a column named in `faults` may be missing."""
    faults: tuple[str, ...] = ()
    """Faults of the row from reading the file, in Chinese."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A firm read from a row without faults; phones in E.164, None where there is none."""

    facts: FirmFacts
    phone: str | None = field(repr=False)
    """Of the main login."""
    finance_phone: str | None = field(repr=False)
    opening_password: str | None = field(repr=False)
    """Of the main login: in the clear, or a hash of `scheme`."""
    notes: tuple[str, ...] = ()
    """Remarks on the row for the operator, in Chinese."""
    scheme: str | None = None
    """Of the hash in `opening_password`, as foreign_hashes names it; None for a password."""


def header_faults(header: Sequence[str], *, partial: bool = False) -> list[str]:
    """Return what is wrong with the header row, in Chinese. Any order of columns is accepted.

    With `partial`, all columns but firm_no may be missing.
    """
    faults = [
        fill(DIRECTORY_FAULTS["column-missing"], column=name)
        for name in (COLUMN_NAMES[:1] if partial else COLUMN_NAMES)
        if name not in header
    ]
    faults += [
        fill(DIRECTORY_FAULTS["column-unknown"], column=fold(name)[:40])
        for name in header
        if name not in COLUMN_NAMES
    ]
    faults += [
        fill(DIRECTORY_FAULTS["column-twice"], column=name)
        for name in COLUMN_NAMES
        if header.count(name) > 1
    ]
    return faults


def read_row(values: Mapping[str, str], faults: Sequence[str] = ()) -> Entry | list[str]:
    """Return the row's firm, or all faults of the row in Chinese.

    `faults` are those of reading the file. Only where there are some may a column be missing
    in `values`; without any, a missing column raises KeyError.
    """
    errors = list(faults)
    parsed: dict[str, str] = {}
    for column in COLUMNS:
        if column.name not in values and faults:
            continue
        text = trimmed(values[column.name])
        if not text:
            if column.required:
                errors.append(fill(DIRECTORY_FAULTS["missing"], column=column.name))
            continue
        try:
            parsed[column.name] = column.parse(text)
        except cells.CellError as error:
            errors.append(fill(DIRECTORY_FAULTS[error.kind], column=column.name))
    if errors:
        return errors
    # Spaces around a password come from an export, not from the person who chose it.
    password = parsed.get("opening_password")
    raw = values["opening_password"]
    was_trimmed = password is not None and password != raw
    return Entry(
        facts=FirmFacts(**{fact.name: parsed[fact.name] for fact in fields(FirmFacts)}),
        phone=parsed.get("phone"),
        finance_phone=parsed.get("finance_phone"),
        opening_password=password,
        notes=(DIRECTORY_NOTES["password-trimmed"],) if was_trimmed else (),
        scheme=None if password is None else foreign_hashes.scheme_of(password),
    )
