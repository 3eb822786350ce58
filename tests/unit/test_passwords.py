"""The rules for passwords: what the policies refuse, in which words, and what they accept."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import passwords
from chalicelib.domain.catalogue import PASSWORD_REASONS, fill
from chalicelib.domain.logins import parse_login
from chalicelib.domain.passwords import (
    PROFILES,
    private_weaknesses,
    public_weaknesses,
)
from chalicelib.services.password_policy import PasswordPolicy

MLPS, NIST = PROFILES["mlps"], PROFILES["nist"]
LOGIN = parse_login("11010148_cw")
COMMON = PASSWORD_REASONS["common"]
TOO_LONG = fill(PASSWORD_REASONS["too-long"], maximum=64)


def _listed(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text("utf-8").splitlines()


# Each has eight characters and three classes, and is what people choose to satisfy such a rule.
WEAK = _listed("weak_passwords.txt")
GOOD = _listed("good_passwords.txt")


def test_the_lists_are_long_enough() -> None:
    """And the composition rules alone refuse nothing of either."""
    assert len(set(WEAK)) >= 120
    assert len(set(GOOD)) >= 60
    for password in (*WEAK, *GOOD):
        assert len(password) >= MLPS.minimum
        assert passwords._classes(password) >= MLPS.classes, password


@pytest.mark.parametrize("password", WEAK)
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    """In any case, and in full-width letters, which are folded before the estimate."""
    assert COMMON in public_weaknesses(password, MLPS, LOGIN)
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in password)
    assert COMMON in public_weaknesses(wide, MLPS, LOGIN)


@pytest.mark.parametrize("password", GOOD)
def test_a_good_password_passes(password: str) -> None:
    """Random ones of eight characters, a few words, a sentence in pinyin, Chinese."""
    assert public_weaknesses(password, MLPS, LOGIN) == []
    assert private_weaknesses(password, phone="+8613800001234", default="010123X") == []


def test_few_random_passwords_are_taken_for_guessable_ones() -> None:
    """Under one in twenty of eight characters, under one in a hundred of nine."""
    dice = random.Random(7)
    letters = "".join(map(chr, range(ord("!"), ord("~") + 1)))
    for length, most in ((8, 0.05), (9, 0.01), (12, 0.002)):
        drawn = ["".join(dice.choices(letters, k=length)) for _ in range(1_000)]
        refused = sum(COMMON in public_weaknesses(text, MLPS, LOGIN) for text in drawn)
        assert refused <= most * len(drawn), length


@pytest.mark.parametrize("login", ["11010148", "44030021_cw"])
def test_the_firm_s_own_words_are_no_secret(login: str) -> None:
    """Its number, the code of its area, and what accountants write."""
    parsed = parse_login(login)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in parsed.firm_no)
    for number in (parsed.firm_no, wide):
        found = public_weaknesses(f"kT7#{number}pW2x", MLPS, parsed)
        assert found == [PASSWORD_REASONS["contains-login"]]
    area_code = passwords.area_codes()[parsed.firm_no[:2]]
    assert area_code in passwords._words(parsed)
    assert COMMON in public_weaknesses(f"Kuaiji{area_code}!", MLPS, parsed)


@pytest.mark.parametrize(
    "password",
    [" kT7#pW2x9", "kT7#pW2x9 ", "\u3000kT7#pW2x9", "kT7#pW2x9\u00a0", "  kT7#pW2x9  "],
)
def test_spaces_at_either_end_are_refused_in_words_of_their_own(password: str) -> None:
    """They get lost where passwords are copied; within one they count."""
    assert public_weaknesses(password, MLPS, LOGIN) == ["密码首尾不能有空格"]
    assert public_weaknesses("kT7# pW2x 9", MLPS, LOGIN) == []


def test_every_public_reason_is_given_at_once() -> None:
    """One answer is enough to choose a password that passes."""
    assert public_weaknesses(" 1\t ", MLPS, LOGIN) == [
        fill(PASSWORD_REASONS["too-short"], minimum=8),
        PASSWORD_REASONS["control-characters"],
        PASSWORD_REASONS["edge-spaces"],
        PASSWORD_REASONS["too-few-classes"],
        COMMON,
    ]


def test_nothing_is_checked_past_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is public nor what is private; and nothing is computed over it."""
    secret = "13800001234 010123X 11010148 password"
    long = secret + "x" * (65 - len(secret))

    def fail(*_: object) -> bool:
        raise AssertionError("checked past too-long")

    policy = PasswordPolicy(MLPS, {})
    for name in ("_classes", "_is_common", "_is_guessable"):
        monkeypatch.setattr(passwords, name, fail)
    assert policy.public_weaknesses(long, LOGIN) == [TOO_LONG]
    assert policy.private_weaknesses(long, "+8613800001234", "010123X") == []
    monkeypatch.undo()
    assert TOO_LONG not in policy.public_weaknesses(long[:64], LOGIN)
    found = policy.private_weaknesses(long[:64], "+8613800001234", "010123X")
    assert PASSWORD_REASONS["contains-phone"] in found


def test_private_rules_see_the_phone_and_the_default_alone() -> None:
    """In any case of letters; a login without them has none of these reasons."""
    contains_phone = PASSWORD_REASONS["contains-phone"]
    contains_default = PASSWORD_REASONS["contains-default"]
    phone, default = "+8613800001234", "010123X"
    assert private_weaknesses("a13800001234b", phone=phone, default=default) == [contains_phone]
    assert private_weaknesses("Go-010123x!", phone=phone, default=default) == [contains_default]
    assert private_weaknesses("a13800001234b", phone=None, default=None) == []
    assert private_weaknesses("", phone=phone, default=default) == []


@given(
    password=st.text(max_size=70),
    phones=st.tuples(*[st.from_regex(r"\+861[3-9][0-9]{9}", fullmatch=True)] * 2),
    defaults=st.tuples(*[st.from_regex(r"0[0-9]{5}[0-9X]", fullmatch=True)] * 2),
)
def test_public_rules_say_nothing_of_a_login_s_secrets(
    password: str, phones: tuple[str, str], defaults: tuple[str, str]
) -> None:
    """The reasons of two owners differ by private ones alone."""
    for text in (password, f"Go-{phones[0][3:]}-x", f"Go-{defaults[0]}-x"):
        public = set(public_weaknesses(text, MLPS, LOGIN))
        for phone, default in zip(phones, defaults, strict=True):
            private = set(private_weaknesses(text, phone=phone, default=default))
            assert not public & private
            assert private <= {
                PASSWORD_REASONS["contains-phone"],
                PASSWORD_REASONS["contains-default"],
            }


def test_the_nist_profile_has_no_classes_and_the_same_estimate() -> None:
    """Fifteen characters of words pass; fifteen of a row do not."""
    assert public_weaknesses("lantern gravel otter", NIST, LOGIN) == []
    assert public_weaknesses("qwertyuiop12345", NIST, LOGIN) == [COMMON]
    assert COMMON in public_weaknesses("passwordpassword", NIST, LOGIN)


@pytest.mark.parametrize(
    "password", ["password1" * 7, "Aa112233" * 8, "1qaz@WSX" * 8, "caiwu2026" * 7, "Abc123!" * 9]
)
def test_a_weak_password_repeated_is_weak(password: str) -> None:
    """Although only its ends are estimated."""
    assert COMMON in public_weaknesses(password, MLPS, LOGIN)


def test_a_weak_end_does_not_spoil_a_strong_one() -> None:
    """The estimate of either end is a lower bound for the whole."""
    strong = "kT7#pW2x-Mw4!zQ9r-g5&LhX2v"
    assert public_weaknesses("password" * 3 + strong, MLPS, LOGIN) == []
    assert public_weaknesses(strong + "password" * 3, MLPS, LOGIN) == []


def test_no_password_is_expensive_to_estimate() -> None:
    """What is full of signs that stand for letters is the estimator's worst case."""
    public_weaknesses("load the estimator", MLPS, LOGIN)
    dice = random.Random(3)
    signs = "4@8({[</369&#!1|0$5+7%2aceglostxzi"
    texts = ["".join(dice.choices(signs, k=64)) for _ in range(30)]
    began = time.process_time()
    for text in texts:
        public_weaknesses(text, MLPS, LOGIN)
    assert (time.process_time() - began) / len(texts) < 0.1


@given(st.text(st.characters() | st.just("\ud800"), max_size=64))
def test_any_text_gets_an_answer(password: str) -> None:
    """Empty, of one surrogate, of any script."""
    assert set(public_weaknesses(password, MLPS, LOGIN)) <= {
        fill(PASSWORD_REASONS["too-short"], minimum=8),
        TOO_LONG,
        *PASSWORD_REASONS.values(),
    }


def test_the_estimator_is_loaded_for_a_confirmation_alone() -> None:
    """A cold start of any other call does not pay for it."""
    code = "import app, sys; sys.exit('zxcvbn_rs_py' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
