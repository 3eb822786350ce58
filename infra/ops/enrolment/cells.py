"""Parsers of single cells of the directory file.

Each parser takes the stripped text of a cell that is not empty, and returns the value to store or
raises CellError. None of them puts the cell's text into the error.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

from chalicelib.domain.logins import fold
from chalicelib.domain.passwords import area_codes
from chalicelib.domain.phones import fold_digits, phone_number, whole_digits

_MAXIMUM = 120
# An argon2 string with a long salt and a long hash has about two hundred characters.
_MAXIMUM_HASH = 512

_FIRM_NO = re.compile(r"[0-9]{8,20}", re.ASCII)
_LAST4 = re.compile(r"[0-9]{3}[0-9X]", re.ASCII)
# A spreadsheet displays long digits stored as a number as 1.38E+10.
_SCIENTIFIC = re.compile(r"[0-9]+(\.[0-9]+)?[Ee]\+?[0-9]+", re.ASCII)
_PHC = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})"
    r"\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)",
    re.ASCII,
)
# Upper limits of one verification: 256 MiB, and about two seconds of a core.
_PHC_MEMORY_KIB = 262_144
_PHC_WORK = 1_048_576


class CellError(Exception):
    """A cell cannot be read; `kind` is a key of DIRECTORY_FAULTS."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def parse_firm_no(text: str) -> str:
    """Return a firm number of 8 to 20 ASCII digits."""
    digits = fold_digits(text)
    if not _FIRM_NO.fullmatch(digits):
        raise _error(text, "firm-no")
    return digits


def parse_province(text: str) -> str:
    """Return a two-digit administrative division code that has an area code."""
    digits = fold_digits(text)
    if digits not in area_codes():
        raise _error(text, "province")
    return digits


def parse_last4(text: str) -> str:
    """Return the last four characters of an ID number: three digits and a digit or X."""
    folded = fold(text).upper()
    digits = whole_digits(folded)
    if digits is not None and len(digits) <= 4:
        # Digits stored as a number (7.0) have lost their leading zeros and nothing else.
        return digits.zfill(4)
    if re.fullmatch(r"[0-9]{1,3}", folded, re.ASCII):
        # In plain text the missing character may be a zero or any other one.
        raise CellError("last4-short")
    if not _LAST4.fullmatch(folded):
        raise CellError("last4")
    return folded


def parse_phone(text: str) -> str:
    """Return a mainland mobile number in E.164."""
    number = phone_number(text)
    if number is None:
        raise _error(text, "phone")
    return number


def parse_text(text: str) -> str:
    """Return a text of at most 120 characters with runs of white space reduced to one space."""
    # Line breaks within a cell are layout.
    cleaned = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) != "Cf")
    if len(cleaned) > _MAXIMUM:
        raise CellError("too-long")
    if not cleaned:
        raise CellError("missing")
    # Unassigned and private-use characters pass: rare characters of names may be among them.
    if any(unicodedata.category(c) == "Cc" or c == "\ufffd" for c in cleaned):
        raise CellError("control")
    return cleaned


def parse_password(text: str) -> str:
    """Return an opening password in the clear, or a sound argon2 PHC string."""
    if len(text) > (_MAXIMUM_HASH if is_argon2(text) else _MAXIMUM):
        raise CellError("too-long")
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise CellError("control")
    if is_argon2(text) and not _is_sound(text):
        raise CellError("not-importable")
    return text


def is_argon2(text: str) -> bool:
    """Return whether a password column holds a hash in place of a password."""
    return text.startswith("$argon2")


def _error(text: str, kind: str) -> CellError:
    return CellError("scientific" if _SCIENTIFIC.fullmatch(fold(text)) else kind)


def _is_sound(text: str) -> bool:
    match = _PHC.fullmatch(text)
    if match is None:
        return False
    memory, passes, lanes = int(match[1]), int(match[2]), int(match[3])
    # RFC 9106, section 3.1: at least one pass and 8 KiB a lane, a salt of 8 bytes, a tag of 4. A tag
    # of four bytes would match by chance too often, so at least 12 are required.
    return (
        passes >= 1
        and 1 <= lanes <= 16
        and 8 * lanes <= memory <= _PHC_MEMORY_KIB
        and memory * passes <= _PHC_WORK
        and _decoded_length(match[4]) >= 8
        and _decoded_length(match[5]) >= 12
    )


def _decoded_length(text: str) -> int:
    """Return the number of bytes of unpadded base64; 0 where its form is not the canonical one."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return 0
    return len(raw) if base64.b64encode(raw).decode().rstrip("=") == text else 0
