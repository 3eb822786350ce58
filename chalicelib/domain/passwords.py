"""What a password must be, and the default password of finance logins."""

from __future__ import annotations

import csv
import itertools
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from .catalogue import PASSWORD_REASONS, fill
from .logins import Login


class Profile(NamedTuple):
    """A password policy. Lengths count Unicode code points after NFC."""

    name: str
    minimum: int
    maximum: int
    classes: int
    """How many of upper case, lower case, digits and symbols must occur; 0 asks for none."""


PROFILES: Mapping[str, Profile] = {
    # MLPS (GB/T 22239-2019, level 3) asks for complexity; three of four classes is its usual reading.
    "mlps": Profile("mlps", minimum=8, maximum=64, classes=3),
    # NIST SP 800-63B-4, section 3.1.1.2: a single factor has 15 or more and no composition rules.
    "nist": Profile("nist", minimum=15, maximum=64, classes=0),
}

# Longer input is refused before anything is computed over it.
MAXIMUM_BYTES = 1_024

# What people write in place of letters to satisfy composition rules.
_LEET = str.maketrans("@4301!$57", "aaeoiisst")


def normalise(password: str) -> str:
    """NFC, the form that is checked and hashed; white space within counts and stays."""
    return unicodedata.normalize("NFC", password)


def public_weaknesses(password: str, profile: Profile, login: Login) -> list[str]:
    """Return the reasons, in Chinese, that follow from the password, the profile and the login."""
    text = normalise(password)
    lowered = text.casefold()
    found = []
    if len(text) < profile.minimum:
        found.append(fill(PASSWORD_REASONS["too-short"], minimum=profile.minimum))
    if len(text) > profile.maximum:
        found.append(fill(PASSWORD_REASONS["too-long"], maximum=profile.maximum))
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        found.append(PASSWORD_REASONS["control-characters"])
    if _classes(text) < profile.classes:
        found.append(PASSWORD_REASONS["too-few-classes"])
    if login.firm_no in lowered:
        found.append(PASSWORD_REASONS["contains-login"])
    if _is_common(lowered):
        found.append(PASSWORD_REASONS["common"])
    return found


def private_weaknesses(password: str, phone: str | None, default: str | None) -> list[str]:
    """Return the reasons, in Chinese, that follow from what is stored of the login.

    `phone` is E.164 or None; `default` is the login's default `_cw` password, where known.
    """
    lowered = normalise(password).casefold()
    found = []
    if phone is not None and phone.removeprefix("+86") in lowered:
        found.append(PASSWORD_REASONS["contains-phone"])
    if default is not None and default.casefold() in lowered:
        found.append(PASSWORD_REASONS["contains-default"])
    return found


def _classes(text: str) -> int:
    return sum(
        (
            any(c.isupper() for c in text),
            any(c.islower() for c in text),
            any(c.isdigit() for c in text),
            any(not c.isupper() and not c.islower() and not c.isdigit() for c in text),
        )
    )


@cache
def _blocklist() -> frozenset[str]:
    text = resources.files(__package__).joinpath("blocklist.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


_TAIL = re.compile(r"[\W_\d]+$")
_HEAD = re.compile(r"^[\W_\d]+")


def _is_common(lowered: str) -> bool:
    # The list holds roots: "Password1!" and "P@ssw0rd2026" are its "password" in a thin coat.
    if len(set(lowered)) <= 2 or _is_run(lowered):
        return True
    candidates = {lowered, lowered.translate(_LEET)}
    for form in tuple(candidates):
        candidates.add(_TAIL.sub("", form))
        candidates.add(_HEAD.sub("", _TAIL.sub("", form)))
        candidates.add(re.sub(r"[\W_]+", "", form))
    candidates.add(_TAIL.sub("", lowered).translate(_LEET))
    return not _blocklist().isdisjoint(candidates)


def _is_run(lowered: str) -> bool:
    steps = {ord(b) - ord(a) for a, b in itertools.pairwise(lowered)}
    return len(steps) == 1 and steps <= {-1, 0, 1}


@cache
def area_codes() -> Mapping[str, str]:
    """Province (two-digit GB/T 2260 code) to its capital's area code, leading zero included."""
    text = resources.files(__package__).joinpath("area_codes.csv").read_text("utf-8")
    return {row["province"]: row["area_code"] for row in csv.DictReader(text.splitlines())}


def default_password(
    province: str | None, head_id_last4: str | None, overrides: Mapping[str, str]
) -> str | None:
    """The default password of a finance login, or None where the firm's record lacks a part.

    The area code of the capital of the firm's stored province, then the last four characters of
    the chief accountant's ID number, X in upper case. `overrides` wins over the table.
    """
    if not province or not head_id_last4:
        return None
    area_code = overrides.get(province) or area_codes().get(province)
    return None if area_code is None else area_code + head_id_last4.upper()
