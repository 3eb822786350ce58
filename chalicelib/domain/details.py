"""Normal forms of a firm's details as people type them, for `services.unbinding` to compare.

Both sides of a comparison are normalised by the same function, so the form itself is arbitrary.
"""

from __future__ import annotations

import re
import unicodedata

from .ideographs import unify
from .logins import fold

_BRACKETS = re.compile(r"[\[\](){}<>〔〕【】〖〗「」『』《》〈〉]")
_DASHES = re.compile(r"[-‐‑‒–—―－ー_]")
_DOTS = re.compile(r"[·•・‧∙⋅●.。．]")
_TRADITIONAL = str.maketrans({"號": "号", "會": "会", "協": "协", "財": "财", "許": "许"})
_DIGITS = re.compile(r"[0-9]+")


def number(text: str) -> str:
    """Normalise a firm's number: ASCII digits without spaces."""
    return fold(text)


def approval_no(text: str) -> str:
    """Normalise an approval number such as 京财会许可〔2012〕0084号.

    Brackets of any kind, 第, 号, 年, dashes and spaces become separators; numbers lose their leading
    zeros, since 0084 and 84 are the same number. The year and the serial number stay separate.
    """
    folded = fold(unify(text)).translate(_TRADITIONAL).casefold()
    # A bracket separates the year from the serial number, so it becomes a space.
    separated = _BRACKETS.sub(" ", folded)
    separated = _DASHES.sub(" ", separated).replace("第", " ").replace("号", " ").replace("年", " ")
    separated = _DIGITS.sub(lambda match: f" {match[0].lstrip('0') or '0'} ", separated)
    return " ".join(separated.split())


def name(text: str) -> str:
    """Normalise a person's name: no spaces, no middle dots of any kind, one letter case.

    Radicals and private-use characters become the characters that they stand for.
    """
    folded = fold(unify(text))
    return _DOTS.sub("", unicodedata.normalize("NFC", folded)).casefold()
