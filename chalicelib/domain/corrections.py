"""Corrections of a firm's registered facts, as a member of the staff types them from a document."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from .catalogue import INPUT_REASONS
from .errors import InvalidInput
from .ideographs import unify
from .logins import fold

FACTS = ("approval_no", "head_name", "head_id_last4")
"""The facts that an identity check and an unbinding compare."""

_LONGEST = 120
_LAST4 = re.compile(r"[0-9]{3}[0-9X]", re.ASCII)
# What a program or a form writes in place of a character that it lost or hides.
_LOST = re.compile("[?？*＊□\ufffd]")


def parse_facts(given: Mapping[str, str]) -> dict[str, str]:
    """Return the facts that are to be stored, by name; empty texts are left out.

    Raises InvalidInput for a fact that cannot be one, and where there is none.
    """
    facts = {name: _parsed(name, given[name]) for name in FACTS if given.get(name, "").strip()}
    if not facts:
        raise InvalidInput(FACTS[0], INPUT_REASONS["no-fact"])
    return facts


def _parsed(name: str, text: str) -> str:
    if name == "head_id_last4":
        folded = fold(text).upper()
        if not _LAST4.fullmatch(folded):
            raise InvalidInput(name, INPUT_REASONS["last4"])
        return folded
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    cleaned = unify(" ".join(visible.split()))
    if len(cleaned) > _LONGEST:
        raise InvalidInput(name, INPUT_REASONS["too-long"])
    is_broken = any(unicodedata.category(c) in ("Cc", "Cs") for c in cleaned)
    if is_broken or _LOST.search(cleaned) or not any(c.isalnum() for c in cleaned):
        raise InvalidInput(name, INPUT_REASONS["fact"])
    return cleaned
