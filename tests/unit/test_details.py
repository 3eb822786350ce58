"""The spellings of a firm's details."""

from __future__ import annotations

import pytest

from chalicelib.domain import details


@pytest.mark.parametrize(
    "typed",
    [
        "京财会许可〔2012〕0084号",
        "京财会许可[2012]84号",
        "京财会许可（2012）84号",
        "京财会许可【2012】0084",
        "京财会许可［２０１２］第００８４号",
        "京财会许可〔2012〕第84號",
        "京財會許可〔2012〕0084號",
        " 京财会许可 〔 2012 〕 0084 号 ",
        "京财会许可2012-0084",
        "京财会许可〔2012年〕000084号",
        "京财会许可\u200b〔2012〕0084号\ufeff",
    ],
)
def test_an_approval_number_has_many_spellings(typed: str) -> None:
    """Brackets, 第 and 号, width, spaces and leading zeros make no difference."""
    assert details.approval_no(typed) == details.approval_no("京财会许可〔2012〕0084号")


@pytest.mark.parametrize(
    "other",
    [
        "京财会许可〔2012〕0085号",
        "京财会许可〔2013〕0084号",
        "沪财会许可〔2012〕0084号",
        "京财会许可〔2012〕0840号",
        "京财会许可〔20120〕084号",
        "京财会许可〔2012〕",
        "0084",
        "",
    ],
)
def test_different_approval_numbers_stay_different(other: str) -> None:
    """The digits and the end of the year are significant."""
    assert details.approval_no(other) != details.approval_no("京财会许可〔2012〕0084号")


@pytest.mark.parametrize(
    "typed",
    [
        "阿依古丽•买买提",
        "阿依古丽・买买提",
        "阿依古丽.买买提",
        "阿依古丽 买买提",
        "阿依古丽‧买买提 ",
    ],
)
def test_a_name_s_dot_has_many_forms(typed: str) -> None:
    """The dot may also be missing, as on keyboards without one."""
    assert details.name(typed) == details.name("阿依古丽·买买提")


@pytest.mark.parametrize("other", ["阿依古丽", "买买提阿依古丽", "阿依古丽·买买堤", ""])
def test_different_names_stay_different(other: str) -> None:
    """Only dots are removed."""
    assert details.name(other) != details.name("阿依古丽·买买提")


def test_a_number_is_its_digits() -> None:
    """Full-width digits and spaces are normalized."""
    assert details.number(" １１０１ ０１４８ ") == details.number("11010148")
    assert details.number("11010149") != details.number("11010148")
    assert details.number("011010148") != details.number("11010148")
