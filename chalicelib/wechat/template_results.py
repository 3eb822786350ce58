"""The outcomes of a template message."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class TemplateOutcome(StrEnum):
    """Outcome of a template message."""

    SENT = "sent"
    NOT_FOLLOWING = "not-following"
    NO_TEMPLATE = "no-template"
    """The account cannot push it now: no such template, no permission, quota exhausted."""
    REFUSED = "refused"
    """The person cannot receive it: declined, blacklisted, or an openid of another account."""
    UNKNOWN = "unknown"
    """No response in time: it may have been sent."""


class TemplateResult(NamedTuple):
    """Outcome of a push; `msgid` is the message's id in its receipt (TEMPLATESENDJOBFINISH)."""

    outcome: TemplateOutcome
    msgid: str | None = None
    errcode: int | None = None
