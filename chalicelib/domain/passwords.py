"""The rules for passwords, and the default password of finance logins.

Public rules depend on the password and the login alone; private ones on the login's phone and default
password, which no answer may reveal before the right code was given.
"""

from __future__ import annotations

import csv
import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
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
    """How many of upper case, lower case, digits and symbols must occur; 0 requires none."""


PROFILES: Mapping[str, Profile] = {
    # MLPS (GB/T 22239-2019, level 3) requires complexity; three of four classes is its usual reading.
    "mlps": Profile("mlps", minimum=8, maximum=64, classes=3),
    # NIST SP 800-63B-4, section 3.1.1.2: a single factor has 15 or more and no composition rules.
    "nist": Profile("nist", minimum=15, maximum=64, classes=0),
}

# Longer input is refused before anything is computed over it.
MAXIMUM_BYTES = 1_024

_GUESSES = 1e8
"""Fewer estimated guesses make a password weak: score 2 and below of the estimator, zxcvbn. A random
password of eight characters has as many."""

_WINDOW = 24
"""Characters that are estimated at once. The estimator's time grows steeply with the length of texts
with many symbols: 24 take 10 ms at worst, 64 took 280."""

# What people write in place of letters to satisfy composition rules.
_LEET = str.maketrans("@4301!$57", "aaeoiisst")


def normalise(password: str) -> str:
    """Return NFC, the form that is checked and hashed; white space counts and stays."""
    return unicodedata.normalize("NFC", password)


def is_too_long(password: str, profile: Profile) -> bool:
    """Return whether the password is too long for any other rule to be checked."""
    return len(normalise(password)) > profile.maximum


def public_weaknesses(password: str, profile: Profile, login: Login) -> list[str]:
    """Return every reason, in Chinese, why nobody with this login may have the password.

    Empty where it is good. Where it is too long, that is the only reason.
    """
    if is_too_long(password, profile):
        return [fill(PASSWORD_REASONS["too-long"], maximum=profile.maximum)]
    text = normalise(password)
    folded = _fold(text)
    found = []
    if len(text) < profile.minimum:
        found.append(fill(PASSWORD_REASONS["too-short"], minimum=profile.minimum))
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        found.append(PASSWORD_REASONS["control-characters"])
    if text != text.strip():
        found.append(PASSWORD_REASONS["edge-spaces"])
    if _classes(text) < profile.classes:
        found.append(PASSWORD_REASONS["too-few-classes"])
    if login.firm_no in folded:
        found.append(PASSWORD_REASONS["contains-login"])
    if _is_common(folded) or _is_guessable(text, login):
        found.append(PASSWORD_REASONS["common"])
    return found


def private_weaknesses(password: str, *, phone: str | None, default: str | None) -> list[str]:
    """Return every reason, in Chinese, that depends on what only the login's owner may learn.

    `phone` is E.164 or None; `default` is the login's default `_cw` password, where known.
    """
    folded = _fold(password)
    found = []
    if phone is not None and phone.removeprefix("+86") in folded:
        found.append(PASSWORD_REASONS["contains-phone"])
    if default is not None and default.casefold() in folded:
        found.append(PASSWORD_REASONS["contains-default"])
    return found


def _fold(text: str) -> str:
    # Full-width letters and digits are the same ones to who guesses.
    return unicodedata.normalize("NFKC", text).casefold()


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
    # The list has roots: "Password1!" and "P@ssw0rd2026" have the root "password".
    if len(set(lowered)) <= 2 or _is_run(lowered):
        return True
    candidates = {lowered, lowered.translate(_LEET)}
    for form in tuple(candidates):
        candidates.add(_TAIL.sub("", form))
        candidates.add(_HEAD.sub("", _TAIL.sub("", form)))
        candidates.add(re.sub(r"[\W_]+", "", form))
    candidates.add(_TAIL.sub("", lowered).translate(_LEET))
    return not _blocklist().isdisjoint(candidates)


def _is_guessable(text: str, login: Login) -> bool:
    # Imported here, so that only the confirmation of a password loads it.
    from zxcvbn_rs_py import zxcvbn  # noqa: PLC0415

    words = _words(login)
    # A lone surrogate is refused by another rule; the estimator raises on it.
    plain = unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode()
    repeated = _repeated(plain)
    # A longer password is weak where both of its ends are.
    windows = {repeated[:_WINDOW], repeated[-_WINDOW:]}
    times = len(plain) / max(1, len(repeated))
    return all(zxcvbn(window, words).guesses * times < _GUESSES for window in windows)


def _repeated(text: str) -> str:
    """Return the shortest part whose repetition, at least twice, makes the text; or the text."""
    for length in range(1, len(text) // 2 + 1):
        if text[length:] == text[:-length]:
            return text[:length]
    return text


def _words(login: Login) -> list[str]:
    """Return what the estimator counts as words beside its own dictionaries, the likeliest first."""
    area_code = area_codes().get(login.firm_no[:2])
    own = [str(login), login.firm_no, *([area_code] if area_code else [])]
    return own + sorted(_blocklist(), key=len)


def _is_run(lowered: str) -> bool:
    steps = {ord(b) - ord(a) for a, b in itertools.pairwise(lowered)}
    return len(steps) == 1 and steps <= {-1, 0, 1}


@cache
def area_codes() -> Mapping[str, str]:
    """Return the area code of each province's capital, with its leading zero.

    Provinces are two-digit codes of GB/T 2260.
    """
    return {row["province"]: row["area_code"] for row in _provinces()}


def province_names() -> Mapping[str, str]:
    """Return the Chinese name of each province by its two-digit code of GB/T 2260."""
    return {row["province"]: row["name"] for row in _provinces()}


def _provinces() -> Iterable[Mapping[str, str]]:
    text = resources.files(__package__).joinpath("area_codes.csv").read_text("utf-8")
    return csv.DictReader(text.splitlines())


def default_password(
    province: str | None, head_id_last4: str | None, overrides: Mapping[str, str]
) -> str | None:
    """Return the default password of a finance login, or None where the firm's record lacks a part.

    It is the area code of the capital of the firm's stored province, followed by the last four
    characters of the chief accountant's ID number, X in upper case. `overrides` replaces entries of
    the table.
    """
    if not province or not head_id_last4:
        return None
    area_code = overrides.get(province) or area_codes().get(province)
    return None if area_code is None else area_code + head_id_last4.upper()
