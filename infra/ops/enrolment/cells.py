"""Parsers of single cells of the directory file.

Each parser takes the stripped text of a cell that is not empty, and returns the value to store or
raises CellError. None of them puts the cell's text into the error.
"""

from __future__ import annotations

import re
import unicodedata

from chalicelib.domain.ideographs import unify
from chalicelib.domain.logins import fold
from chalicelib.domain.passwords import area_codes
from chalicelib.domain.phones import fold_digits, phone_number, whole_digits

from .lost_text import is_lost, unescape
from .password_cell import password_fault
from .placeholders import is_masked, is_placeholder, is_spreadsheet_artefact

_MAXIMUM = 120
# Before line breaks, spaces and escapes are reduced.
_MAXIMUM_READ = 2_000

_FIRM_NO = re.compile(r"[0-9]{8,20}", re.ASCII)
_LAST4 = re.compile(r"[0-9]{3}[0-9X]", re.ASCII)
# A spreadsheet displays long digits stored as a number as 1.38E+10.
_SCIENTIFIC = re.compile(r"[0-9]+(\.[0-9]+)?[Ee]\+?[0-9]+", re.ASCII)


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
    """Return a text of at most 120 characters, as a person would type it.

    Runs of white space become one space, characters that only look like Chinese ones become those.
    """
    if len(text) > _MAXIMUM_READ:
        raise CellError("too-long")
    visible = "".join(c for c in unescape(text) if unicodedata.category(c) != "Cf")
    # Line breaks within a cell are layout.
    cleaned = unify(" ".join(visible.split()))
    if len(cleaned) > _MAXIMUM:
        raise CellError("too-long")
    if not cleaned:
        raise CellError("missing")
    # Unassigned and private-use characters pass: rare characters of names may be among them.
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in cleaned):
        raise CellError("control")
    folded = fold(cleaned)
    if is_spreadsheet_artefact(folded):
        raise CellError("formula")
    if is_placeholder(folded) or is_masked(folded):
        raise CellError("placeholder")
    if is_lost(cleaned):
        raise CellError("substitution")
    return cleaned


def parse_password(text: str) -> str:
    """Return an opening password in the clear, or a hash that the service can verify."""
    fault = password_fault(text)
    if fault is not None:
        raise CellError(fault)
    return text


def _error(text: str, kind: str) -> CellError:
    return CellError("scientific" if _SCIENTIFIC.fullmatch(fold(text)) else kind)
