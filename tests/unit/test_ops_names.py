"""Names in the directory file: restored where they can be, refused where characters are lost."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import details
from chalicelib.domain.catalogue import DIRECTORY_FAULTS
from infra.ops.enrolment.cells import CellError, parse_text


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("⻢示例", "马示例"),
        ("甄\ue863", "甄䶮"),
        ("甄示例_x000D_", "甄示例"),
        ("示例_x000D__x000A_会计师事务所", "示例 会计师事务所"),
        ("_xD842__xDFB7_示例", "𠮷示例"),
        ("\ufeff甄\u200b示例\u200e", "甄示例"),
        ("甄 \u200b 示例", "甄 示例"),
        ("𠮷示例", "𠮷示例"),
        ("ABC & Co. CPA", "ABC & Co. CPA"),
        ("北京100%示例所", "北京100%示例所"),
        ("阿依古丽·买买提", "阿依古丽·买买提"),
    ],
)
def test_names_are_stored_as_people_type_them(written: str, stored: str) -> None:
    """Look-alikes, escapes of spreadsheets and invisible characters are undone."""
    assert parse_text(written) == stored


LOST = [
    *("甄?", "甄？例", "??", "甄\ufffd例", "甄\ufffc例", "甄□例", "张*", "张＊明"),
    *("&#20126;示例", "&#x4e9e;示例", "示例&amp;事务所", "示例&nbsp;所", "\\u4e9e示例"),
    *("%E4%BA%9A%E4%BC%9F", "锟斤拷", "锟斤拷锟斤拷示例", "烫烫烫", "屯屯屯"),
    "甄示例".encode().decode("gb18030", "replace"),
    "北京示例会计师事务所".encode().decode("gb18030"),
    "甄示例".encode().decode("latin-1"),
    "甄示例".encode().decode("cp1252", "replace"),
    "北京所".encode().decode("cp1252", "replace"),
]


@pytest.mark.parametrize("written", LOST)
def test_a_name_with_lost_characters_is_refused(written: str) -> None:
    """Nobody can enter it at an unbinding; the fault says what to do."""
    with pytest.raises(CellError) as error:
        parse_text(written)
    assert error.value.kind in ("substitution", "control", "placeholder")
    assert DIRECTORY_FAULTS[error.value.kind].startswith("$column")


@pytest.mark.parametrize("length", [121, 10_000])
def test_a_name_that_is_too_long_is_refused(length: int) -> None:
    """A whole page that was pasted into a cell is not looked through."""
    with pytest.raises(CellError) as error:
        parse_text("示" * length)
    assert error.value.kind == "too-long"


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_has_a_fault(text: str) -> None:
    """No text raises another error; what is stored compares equal to what a person may type."""
    with contextlib.suppress(CellError):
        stored = parse_text(text)
        assert details.name(stored) == details.name(f" {stored}\u200b")
        assert "  " not in stored


COMMON = st.text(
    st.sampled_from("北京上海示例会计师事务所有限公司特殊普通合伙甄尤买提阿依古丽联通"), min_size=1
)


@given(COMMON.filter(lambda text: len(text) <= 60))
def test_names_of_common_characters_pass(text: str) -> None:
    """None of them looks like a name in the wrong encoding."""
    assert parse_text(text) == text
