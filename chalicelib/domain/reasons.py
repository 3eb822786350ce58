"""The reason that an operator gives for a change."""

from __future__ import annotations

from .catalogue import INPUT_REASONS
from .errors import InvalidInput

_LONGEST = 200


def parse_reason(text: str, field: str = "reason") -> str:
    """Return the reason on one line without control characters, 1 to 200 characters.

    Raises InvalidInput, which names `field`.
    """
    reason = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not reason:
        raise InvalidInput(field, INPUT_REASONS["missing"])
    if len(reason) > _LONGEST:
        raise InvalidInput(field, INPUT_REASONS["too-long"])
    return reason
