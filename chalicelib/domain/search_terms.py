"""What of a firm's name is searchable, and where a search in it begins.

Each part of a name from a character on is an entry of the index, so that any part of the name is found
by the beginning of an entry. The words that nearly every firm's name has are no beginnings: they would
be found in every firm, and make half of the entries.
"""

from __future__ import annotations

import re

from .details import name as fold_name

GENERIC = (
    "会计师事务所",
    "税务师事务所",
    "特殊普通合伙",
    "普通合伙",
    "有限合伙",
    "有限责任公司",
    "有限公司",
    "分所",
)

_GENERIC = re.compile("|".join([*GENERIC, r"[()\[\]〔〕]"]))

LONGEST = 120
"""Characters of a name that are searchable; the longest real names have about fifty."""


def fold(text: str) -> str:
    """Normalise a name or a part of one, as entries and searches are compared."""
    return fold_name(text)[:LONGEST]


def beginnings(folded: str) -> list[int]:
    """Return the positions at which an entry of a folded name begins."""
    inside = [False] * len(folded)
    for match in _GENERIC.finditer(folded):
        inside[match.start() : match.end()] = [True] * len(match[0])
    return [position for position, generic in enumerate(inside) if not generic]


def first_beginning(part: str) -> int | None:
    """Return the position in a folded part of a name from which on it is searched.

    None where it has generic words alone. The part may begin within a generic word.
    """
    ends = [
        length
        for word in GENERIC
        for length in range(1, len(word))
        if part.startswith(word[-length:])
    ]
    left = max(ends, default=0)
    possible = beginnings(part)
    return next((position for position in possible if position >= left), next(iter(possible), None))
