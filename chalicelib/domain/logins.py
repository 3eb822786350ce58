"""Logins and firm numbers: parsing of typed text, and the stored form."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from .catalogue import INPUT_REASONS
from .errors import InvalidInput

LOGIN_PATTERN = "([0-9]{8,20})(_cw)?"
"""A login in canonical form: the firm's number, and `_cw` for the finance account."""

_LOGIN = re.compile(LOGIN_PATTERN)


class Kind(StrEnum):
    """Which of a firm's two accounts a login is."""

    MAIN = "main"
    FINANCE = "finance"


@dataclass(frozen=True)
class Login:
    """A login account of a firm; `str` returns its stored form."""

    firm_no: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.firm_no}_cw" if self.kind is Kind.FINANCE else self.firm_no


def fold(text: str) -> str:
    """Normalise typed text: NFKC, no white space, no invisible characters."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(
        c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc")
    )


def parse_login(text: str) -> Login:
    """Parse a login as people type it: full-width digits, inner spaces, `_CW`.

    Raises InvalidInput if the text is not a login. Similar-looking digits and letters of other
    scripts are refused, never converted.
    """
    match = _LOGIN.fullmatch(fold(text).lower())
    if match is None:
        raise InvalidInput("login", INPUT_REASONS["login"])
    return Login(match[1], Kind.FINANCE if match[2] else Kind.MAIN)


def mask_phone(phone: str) -> str:
    """Return `138****1234` for `+8613812341234` or `13812341234`.

    This is the only form of a phone in responses, log lines and audit items.
    """
    national = phone.removeprefix("+86")
    return f"{national[:3]}****{national[-4:]}"
