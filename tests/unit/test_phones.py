"""The spellings of mainland mobile numbers."""

from __future__ import annotations

import pytest

from chalicelib.domain.phones import phone_number


@pytest.mark.parametrize(
    "written",
    [
        "13800001234",
        "+8613800001234",
        "8613800001234",
        "008613800001234",
        "+86 138-0000-1234",
        "138 0000 1234",
        "１３８００００１２３４",
        "\u202d13800001234\u202c",
        "138—0000—1234",
        "13800001234.0",
        "(+86)13800001234",
        "（+86）138-0000-1234",
        "+(86) 138 0000 1234",
        "(86)13800001234",
        "(0086)13800001234",
        "＋８６　１３８－００００－１２３４",
    ],
)
def test_spellings_of_a_number_are_normalized(written: str) -> None:
    """Prefixes, spaces, dashes, full width and what a spreadsheet adds."""
    assert phone_number(written) == "+8613800001234"


@pytest.mark.parametrize(
    "written",
    [
        "1380000123",
        "138000012345",
        "23800001234",
        "10800001234",
        "11800001234",
        "12800001234",
        "+8612800001234",
        "(+87)13800001234",
        "(138)00001234",
        "010-88250337",
        "13800001234/13900001234",
        "١٣٨٠٠٠٠١٢٣٤",
        "1380000123a",
        "",
        "无",
        "+1 13800001234",
        "13800001234.5",
    ],
)
def test_other_texts_are_no_mobile_number(written: str) -> None:
    """Too short, too long, a landline, two numbers, digits of another script."""
    assert phone_number(written) is None
