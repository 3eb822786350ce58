"""Parsing of mainland mobile numbers in the spellings of people and spreadsheets."""

from __future__ import annotations

import re

from .logins import fold

_PHONE = re.compile(r"(?:\(?(?:\+?\(?86|0086)\)?)?(1[3-9][0-9]{9})", re.ASCII)
_DASHES = re.compile(r"[-‐‑‒–—―−]")
_DECIMAL = re.compile(r"([0-9]+)\.0+", re.ASCII)


def phone_number(text: str) -> str | None:
    """Return a mainland mobile number in E.164, or None where the text is not one."""
    match = _PHONE.fullmatch(_DASHES.sub("", fold_digits(text)))
    return f"+86{match[1]}" if match else None


def fold_digits(text: str) -> str:
    """Fold a text and remove the `.0` that a spreadsheet appends to digits stored as a number."""
    folded = fold(text)
    return whole_digits(folded) or folded


def whole_digits(folded: str) -> str | None:
    """Return the digits before the point of a text such as `7.0`, or None for any other text."""
    decimal = _DECIMAL.fullmatch(folded)
    return decimal[1] if decimal else None
