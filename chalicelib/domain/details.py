"""A firm's details as people type them, brought to one form for comparison.

The two sides of a comparison go through the same function, so a form need only be stable, not
pretty. Nothing here decides; `stories.unbinding` compares.
"""

from __future__ import annotations

import re
import unicodedata

from .logins import fold

_BRACKETS = re.compile(r"[\[\](){}<>〔〕【】〖〗「」『』《》〈〉]")
_DASHES = re.compile(r"[-‐‑‒–—―－ー_]")
_DOTS = re.compile(r"[·•・‧∙⋅●.。．]")
_TRADITIONAL = str.maketrans({"號": "号", "會": "会", "協": "协", "財": "财", "許": "许"})
_DIGITS = re.compile(r"[0-9]+")


def number(text: str) -> str:
    """A firm's number: digits alone, in ASCII."""
    return fold(text)


def approval_no(text: str) -> str:
    """An approval number such as 京财会许可〔2012〕0084号.

    Brackets of any kind, 第 and 号, dashes and spaces fall away; digits lose leading zeros, since
    0084 and 84 are one number. The year's digits stay apart from the serial's.
    """
    folded = fold(text).translate(_TRADITIONAL).casefold()
    # A bracket parts the year from the serial; elsewhere it means nothing.
    parted = _BRACKETS.sub(" ", folded)
    parted = _DASHES.sub(" ", parted).replace("第", " ").replace("号", " ").replace("年", " ")
    parted = _DIGITS.sub(lambda match: f" {match[0].lstrip('0') or '0'} ", parted)
    return " ".join(parted.split())


def name(text: str) -> str:
    """A person's name: spaces and every kind of middle dot fall away, letters in one case."""
    folded = fold(text)
    return _DOTS.sub("", unicodedata.normalize("NFC", folded)).casefold()
