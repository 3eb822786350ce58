"""A row of the directory file: what it must hold, and what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .catalogue import DIRECTORY_FAULTS, DIRECTORY_NOTES, fill
from .logins import fold
from .passwords import area_codes

COLUMNS = (
    "firm_no",
    "name",
    "province",
    "approval_no",
    "head_name",
    "head_id_last4",
    "phone",
    "finance_phone",
    "opening_password",
)

_OPTIONAL = frozenset({"phone", "finance_phone", "opening_password"})
_MAXIMUM = 120
# An argon2 string with a long salt and a long hash has some two hundred characters.
_MAXIMUM_HASH = 512

_FIRM_NO = re.compile(r"[0-9]{8,20}", re.ASCII)
_LAST4 = re.compile(r"[0-9]{3}[0-9X]", re.ASCII)
_PHONE = re.compile(r"(?:\+86|0086|86)?(1[0-9]{10})", re.ASCII)
_DASHES = re.compile(r"[-‐‑‒–—―−]")
# A spreadsheet that took digits for a number writes 11010148.0, or 1.38E+10.
_AS_NUMBER = re.compile(r"([0-9]+)\.0+", re.ASCII)
_SCIENTIFIC = re.compile(r"[0-9]+(\.[0-9]+)?[Ee]\+?[0-9]+", re.ASCII)
_PHC = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})"
    r"\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)",
    re.ASCII,
)
# What one verification may cost: 256 MiB, and about two seconds of a core.
_PHC_MEMORY_KIB = 262_144
_PHC_WORK = 1_048_576


@dataclass(frozen=True)
class Entry:
    """A firm as a good row has it; phones in E.164, None where there is none."""

    firm_no: str
    name: str
    province: str
    approval_no: str
    head_name: str
    head_id_last4: str = field(repr=False)
    phone: str | None = field(repr=False)
    finance_phone: str | None = field(repr=False)
    opening_password: str | None = field(repr=False)
    """In the clear, or an argon2 PHC string."""
    notes: tuple[str, ...] = ()
    """What the operator should know of the row, in Chinese."""

    @property
    def opening_is_hash(self) -> bool:
        """Whether the opening password came as an argon2 PHC string."""
        return self.opening_password is not None and _claims_hash(self.opening_password)


def phone_number(text: str) -> str | None:
    """A mainland mobile number as people write it, in E.164; None where it cannot be one."""
    match = _PHONE.fullmatch(_DASHES.sub("", _digits(text)))
    return f"+86{match[1]}" if match else None


def header_faults(header: Sequence[str]) -> list[str]:
    """What is wrong with the header row, in Chinese; columns may stand in any order."""
    faults = [
        fill(DIRECTORY_FAULTS["column-missing"], column=c) for c in COLUMNS if c not in header
    ]
    faults += [
        fill(DIRECTORY_FAULTS["column-unknown"], column=fold(column)[:40])
        for column in header
        if column not in COLUMNS
    ]
    faults += [
        fill(DIRECTORY_FAULTS["column-twice"], column=column)
        for column in COLUMNS
        if header.count(column) > 1
    ]
    return faults


def read_row(values: Mapping[str, str], faults: Sequence[str] = ()) -> Entry | list[str]:
    """The row's firm, or everything that is wrong with the row, in Chinese.

    `faults` are those that reading the file found already; only then may a column be missing in
    `values`, which is the column that they are about.
    """
    found = list(faults)
    read: dict[str, str] = {}
    for column in COLUMNS:
        if column not in values and faults:
            continue
        text = values[column].strip()
        if not text:
            if column not in _OPTIONAL:
                found.append(fill(DIRECTORY_FAULTS["missing"], column=column))
            continue
        try:
            read[column] = _READERS.get(column, _text)(text)
        except _Wrong as wrong:
            found.append(fill(DIRECTORY_FAULTS[wrong.kind], column=column))
    if found:
        return found
    # People do not begin or end a password with a space; exports of other systems do.
    trimmed = values["opening_password"].strip() != values["opening_password"]
    return Entry(
        firm_no=read["firm_no"],
        name=read["name"],
        province=read["province"],
        approval_no=read["approval_no"],
        head_name=read["head_name"],
        head_id_last4=read["head_id_last4"],
        phone=read.get("phone"),
        finance_phone=read.get("finance_phone"),
        opening_password=read.get("opening_password"),
        notes=(DIRECTORY_NOTES["password-trimmed"],)
        if trimmed and "opening_password" in read
        else (),
    )


class _Wrong(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _digits(text: str) -> str:
    folded = fold(text)
    number = _AS_NUMBER.fullmatch(folded)
    return number[1] if number else folded


def _refuse(text: str, kind: str) -> _Wrong:
    return _Wrong("scientific" if _SCIENTIFIC.fullmatch(fold(text)) else kind)


def _firm_no(text: str) -> str:
    digits = _digits(text)
    if not _FIRM_NO.fullmatch(digits):
        raise _refuse(text, "firm-no")
    return digits


def _province(text: str) -> str:
    digits = _digits(text)
    if digits not in area_codes():
        raise _refuse(text, "province")
    return digits


def _last4(text: str) -> str:
    folded = fold(text).upper()
    number = _AS_NUMBER.fullmatch(folded)
    if number and len(number[1]) <= 4:
        # Four digits that were a number for a while have lost their leading zeros, and only those.
        return number[1].zfill(4)
    if re.fullmatch(r"[0-9]{1,3}", folded, re.ASCII):
        # In plain text a zero may be lost, or any other character forgotten.
        raise _Wrong("last4-short")
    if not _LAST4.fullmatch(folded):
        raise _Wrong("last4")
    return folded


def _phone(text: str) -> str:
    number = phone_number(text)
    if number is None:
        raise _refuse(text, "phone")
    return number


def _text(text: str) -> str:
    # Line breaks within a cell are only how it was laid out.
    shown = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) != "Cf")
    if len(shown) > _MAXIMUM:
        raise _Wrong("too-long")
    if not shown:
        raise _Wrong("missing")
    # Rare characters of names may be in the private area or newer than Python's tables.
    if any(unicodedata.category(c) == "Cc" or c == "\ufffd" for c in shown):
        raise _Wrong("control")
    return shown


def _password(text: str) -> str:
    if len(text) > (_MAXIMUM_HASH if _claims_hash(text) else _MAXIMUM):
        raise _Wrong("too-long")
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise _Wrong("control")
    if _claims_hash(text) and not _is_hash(text):
        raise _Wrong("not-importable")
    return text


def _claims_hash(text: str) -> bool:
    return text.startswith("$argon2")


def _is_hash(text: str) -> bool:
    match = _PHC.fullmatch(text)
    if match is None:
        return False
    memory, passes, lanes = int(match[1]), int(match[2]), int(match[3])
    # RFC 9106, section 3.1: at least one pass and 8 KiB a lane; salts of 8 bytes, tags of 4 and
    # more. Four bytes of a hash would prove nothing, so 12 are asked for.
    return (
        passes >= 1
        and 1 <= lanes <= 16
        and 8 * lanes <= memory <= _PHC_MEMORY_KIB
        and memory * passes <= _PHC_WORK
        and _decoded(match[4]) >= 8
        and _decoded(match[5]) >= 12
    )


def _decoded(text: str) -> int:
    """How many bytes unpadded base64 has; 0 where it is not in its one right form."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return 0
    return len(raw) if base64.b64encode(raw).decode().rstrip("=") == text else 0


_READERS: Mapping[str, Callable[[str], str]] = {
    "firm_no": _firm_no,
    "province": _province,
    "head_id_last4": _last4,
    "phone": _phone,
    "finance_phone": _phone,
    "opening_password": _password,
}
