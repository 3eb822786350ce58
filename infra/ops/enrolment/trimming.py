"""White space and invisible characters around the text of a cell."""

from __future__ import annotations

import unicodedata


def trimmed(text: str) -> str:
    """Remove white space and invisible characters, such as zero-width spaces, from both ends."""
    first, last = 0, len(text)
    while first < last and _is_invisible(text[first]):
        first += 1
    while first < last and _is_invisible(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
