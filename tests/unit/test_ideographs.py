"""Characters that look like Chinese ones: radicals, strokes, private use of GB 18030."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import details, ideographs
from chalicelib.domain.ideographs import unify

TABLE = ideographs._table()
ROWS = [bytes([0xFE, trail]) for trail in (*range(0x50, 0x7F), *range(0x80, 0xA1))]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("⻢", "马"),
        ("\ue863", "䶮"),
        ("⼀", "一"),
        ("⻰", "龙"),
        ("\ue815", "厂"),
        ("\ue81e", "龴"),
        ("\ue7c7", "ḿ"),
        ("\ue78e", "︒"),
        ("㇐", "一"),
        ("⺟", "母"),
    ],
)
def test_a_look_alike_becomes_the_character(written: str, meant: str) -> None:
    """One of each block and of each part of the private-use area."""
    assert unify(written) == meant


def test_the_table_agrees_with_python_s_codec() -> None:
    """Wherever the codec has a character outside the private-use area, it is the same one."""
    agreeing = 0
    for code, pair in enumerate(ROWS, 0xE815):
        character = pair.decode("gb18030")
        if unicodedata.category(character) == "Co":
            assert character == chr(code)
        else:
            assert unify(character) == unify(chr(code))
            agreeing += 1
    assert agreeing == 66


def test_the_table_agrees_with_unicode_s_decompositions() -> None:
    """Where a radical has a compatibility decomposition, it is the same character."""
    for code, character in TABLE.items():
        normal = unicodedata.normalize("NFKC", chr(code))
        if 0x2E80 <= code <= 0x2FDF and normal != chr(code):
            assert character == normal


def test_every_radical_has_its_character() -> None:
    """All assigned ones but U+2E80, which has none."""
    for code in (*range(0x2E80, 0x2EF4), *range(0x2F00, 0x2FD6)):
        if unicodedata.category(chr(code)) == "So" and code != 0x2E80:
            assert unicodedata.category(TABLE[code]) == "Lo", hex(code)


def test_no_character_is_replaced_by_one_that_is_replaced() -> None:
    """Once is enough, so that stored and typed names agree."""
    for character in TABLE.values():
        assert len(character) == 1
        assert unify(character) == character


NAMES = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=6)


@given(NAMES, st.sampled_from(sorted(TABLE)), NAMES)
def test_a_name_with_a_look_alike_is_the_name(before: str, code: int, after: str) -> None:
    """At an unbinding and at an import, wherever it is in the name."""
    written, meant = before + chr(code) + after, before + TABLE[code] + after
    assert details.name(written) == details.name(meant)
    assert details.approval_no(written) == details.approval_no(meant)


@given(st.text())
def test_unify_is_idempotent_and_keeps_the_length(text: str) -> None:
    """Whatever the text is."""
    once = unify(text)
    assert unify(once) == once
    assert len(once) == len(text)


@given(NAMES)
def test_other_characters_stay(text: str) -> None:
    """Names of common characters are unchanged."""
    assert unify(text) == text
