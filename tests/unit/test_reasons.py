"""The reasons that staff and operators give."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.reasons import parse_reason


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("换号", "换号"),
        (" 换号\r\n 急\u200b ", "换号 急"),
        ("新号13900002222，旧号 138-0000-1234", "新号139****2222，旧号 138****1234"),
        ("+86 139 0000 2222", "+139****2222"),
        ("8613900002222", "139****2222"),
        ("１３９００００２２２２", "１３９****２２２２"),
        ("公函2027-3", "公函2027-3"),
        ("电话010-88250337", "电话010-88250337"),
        ("编号110101199003071234", "编号110101199003071234"),
        ("12345678901", "12345678901"),
    ],
)
def test_a_reason_is_one_line_without_a_phone(text: str, stored: str) -> None:
    """Only mobile numbers are masked, not the numbers of documents."""
    assert parse_reason(text) == stored


@pytest.mark.parametrize("text", ["", " \u200b", "x" * 201])
def test_a_reason_that_is_none(text: str) -> None:
    """It names its field."""
    with pytest.raises(InvalidInput):
        parse_reason(text)
