"""The reason that an operator gives for a change."""

from __future__ import annotations

import re

from .catalogue import INPUT_REASONS
from .errors import InvalidInput

_LONGEST = 200

# A mobile number of mainland China within a text, in digits of either width.
_DIGIT = "[0-9０-９]"
_PHONE = re.compile(
    rf"(?<!{_DIGIT})(?:86[ -]?)?([1１][3-9３-９]{_DIGIT})[ -]?{_DIGIT}{{4}}[ -]?({_DIGIT}{{4}})(?!{_DIGIT})"
)


def parse_reason(text: str, field: str = "reason") -> str:
    """Return the reason on one line without control characters, 1 to 200 characters.

    Phones in it are masked: reasons are shown and kept where no whole phone may be. Raises
    InvalidInput, which names `field`.
    """
    reason = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not reason:
        raise InvalidInput(field, INPUT_REASONS["missing"])
    if len(reason) > _LONGEST:
        raise InvalidInput(field, INPUT_REASONS["too-long"])
    return mask_phones(reason)


def mask_phones(text: str) -> str:
    """Return the text with each mobile number as in 139****2222."""
    return _PHONE.sub(r"\1****\2", text)
