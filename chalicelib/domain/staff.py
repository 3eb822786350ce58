"""The people at the support desk, and what each role may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .audit_texts import ACTORS
from .errors import RoleRequired, SignInRequired

SESSION_LIFETIME = 28_800
"""Seconds from signing in to signing in again: a working day."""

_LONGEST_NAME = 60
_DEEPEST_CLAIM = 5


class Role(StrEnum):
    """A role of the provider's claim."""

    AGENT = "agent"
    """Answers the telephone: finds logins, unlocks, unbinds, freezes, proposes phones."""
    SUPERVISOR = "supervisor"
    """Does what an agent does, and decides on proposals and unfreezes."""
    AUDITOR = "auditor"
    """Reads the audit, the day and the proposals, and changes nothing."""


AGENTS = frozenset({Role.AGENT, Role.SUPERVISOR})
SUPERVISORS = frozenset({Role.SUPERVISOR})
REVIEWERS = frozenset({Role.SUPERVISOR, Role.AUDITOR})
EVERYBODY = frozenset(Role)


@dataclass(frozen=True)
class Staff:
    """A member of the staff who has signed in."""

    subject: str
    """The provider's permanent name for the person; the audit's actor."""
    name: str
    """The person's name for display."""
    roles: frozenset[Role]
    session: str
    """128 random bits in hex."""
    ends_at: int
    """Epoch seconds of the end of the session."""

    @property
    def actor(self) -> str:
        """The name in the audit. The prefix sets it apart from AWS identities and `person`."""
        return f"{ACTOR}{self.subject}"

    def sees_proposals_of(self, subject: str) -> bool:
        """Return whether the person sees the proposals of this subject: to an agent alone, their own."""
        return bool(self.roles & REVIEWERS) or self.subject == subject

    def require(self, allowed: frozenset[Role]) -> None:
        """Raise RoleRequired where the person has none of these roles."""
        if not self.roles & allowed:
            raise RoleRequired


ACTOR = "staff:"


def same_person(subject: str, other: str) -> bool:
    """Return whether two subjects may be one person, where two people are needed.

    Subjects are case-sensitive (OpenID Connect Core 1.0, section 2), but a provider that takes them from
    a directory may issue a name as it was typed at the sign-in.
    """
    return subject.strip().casefold() == other.strip().casefold()


def is_reserved(subject: str) -> bool:
    """Return whether a subject would be shown as another actor of the audit, such as an AWS identity.

    Reviews show subjects without the prefix, and operators' commands the part after the last colon.
    """
    return subject.startswith(("arn:", ACTOR)) or subject.rpartition(":")[2].strip() in ACTORS


def signed_in(staff: Staff | None, now: int) -> Staff:
    """Return the person of a session that has not ended. Raises SignInRequired."""
    if staff is None or staff.ends_at <= now:
        raise SignInRequired
    return staff


def roles_of(claims: Mapping[str, Any], name: str) -> frozenset[Role]:
    """Return the roles in the claim `name`: a list of texts, or a text with spaces or commas.

    A claim of exactly this name is used first; otherwise each dot leads into an object. Words that
    are no role are ignored.
    """
    value = claims.get(name)
    if value is None:
        value = claims
        for part in name.split(".")[:_DEEPEST_CLAIM]:
            value = value.get(part) if isinstance(value, Mapping) else None
    words = re.split(r"[\s,]+", value) if isinstance(value, str) else value
    if not isinstance(words, list):
        return frozenset()
    return frozenset(role for role in Role if role.value in words)


def display_name(claims: Mapping[str, Any]) -> str:
    """Return the person's name, on one line; the subject where the provider gives none."""
    for claim in ("name", "preferred_username", "sub"):
        text = claims.get(claim)
        if isinstance(text, str):
            name = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            # A lone surrogate has no form in UTF-8, and is not printable.
            if name:
                return name[:_LONGEST_NAME]
    return ""
