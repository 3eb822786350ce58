"""Texts of the column opening_password that are no password: hashes, formulas, placeholders."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.catalogue import DIRECTORY_FAULTS
from infra.ops.enrolment.cells import CellError, parse_password, parse_text

HEX = hashlib.sha256(b"password").hexdigest()

FOREIGN = [
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "5F4DCC3B5AA765D61D8327DEB882CF99",
    "5aa765d61d8327de",
    "0x5f4dcc3b5aa765d61d8327deb882cf99",
    "salt:5f4dcc3b5aa765d61d8327deb882cf99",
    "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19",
    "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
    HEX,
    HEX * 2,
    "X03MO1qnZdYdgyfeuILPmQ==",
    "W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=",
    "AQAAAAEAACcQAAAAEJ0jJ5ZJcXyC8mJ3Zz8QxYk1oEJ1XlW4Q4lqk0m1m0mJx5b8q1H9m9C2ZrYpQ1mUeA==",
    "$1$abcdefgh$G2yRQy0EZVTkcTQvHYqRv1",
    "$6$abcdefgh$" + "x" * 86,
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
    "$P$BDTnhqhQp8mDDy0LPiHPwBL0d8rGcH1",
    "$apr1$abcdefgh$wLnK5gZ1lFfWl0bJ7fC3j.",
    "$pbkdf2-sha256$29000$c2FsdHNhbHQ$dGFndGFndGFndGFndGFndGFndGFndGFn",
    "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4",
    "$shiro2$argon2id$v=19$t=1,m=65536,p=4$H5z81Jpr4ntZr3MVtbOUBw$fJDgZCLZjMC6A2HhnSpxUL",
    "{SSHA}vYLb8k0yR8uPqkzJq8qzZ8p0bV1hYjZk",
    "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
    "{noop}password",
    "{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf841",
    "{scrypt@SpringSecurity_v5_8}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei",
    "sha1$a1976$a36cc8cbf81742a8fb52e221aaeab48ed7f58ab4",
    "md5$zxcvb$deadbeef",
    "scrypt:32768:8:1$saltsalt$deadbeef",
    "pbkdf2:sha256:600000$saltsalt$deadbeef",
    "!Xa9bC0dEf1Gh2iJk3Lm4No5Pq6Rs7Tu8Vw9Yz0Ab",
    "ENC(G6N718UuyPE5bHyWKyuLQSm02auQPUtm)",
]
UNSOUND = [
    "$2a$10$short",
    "$2b$31$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
    "{bcrypt}password",
    "{pbkdf2}abcd",
    "pbkdf2_sha256$1000$salt$short",
    "$shiro1$SHA-256$500000$abc$def",
    "$argon2id$v=19$m=19456",
]
PLACEHOLDERS = [
    *("NULL", "null", "(null)", "[NULL]", "\\N", "None", "nan", "N/A", "undefined"),
    *("无", "無", "暂无", "未设置", "同上", "无密码", "默认密码"),
    *("******", "＊＊＊＊＊＊", "●●●●●●", "••••••", "xxxxxx", "XXXXXX", "ab****9"),
    *("-", "--", "——", "/", "\\", ".", "?", "???", "_", "…", "0", "0.0"),
]
FORMULAS = [
    *('="00123456"', "=A1", "=VLOOKUP(A2,Sheet2!A:B,2,0)", "＝A1", "='名录'!I3"),
    *("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!"),
    *("#GETTING_DATA", "#####", "Err:502"),
]
SCIENTIFIC = ["1.23457E+11", "1E+10", "1.2e+11", "１.２３E+11"]


def kind_of(text: str) -> str | None:
    try:
        stored = parse_password(text)
    except CellError as error:
        return DIRECTORY_FAULTS[error.kind] and error.kind
    assert stored == text
    return None


@pytest.mark.parametrize("written", FOREIGN)
def test_a_hash_that_cannot_be_verified_is_no_password(written: str) -> None:
    """As a password, whoever stole the old table would log in with the hash itself."""
    assert kind_of(written) == "hash-foreign"


@pytest.mark.parametrize("written", UNSOUND)
def test_a_damaged_hash_of_a_known_system_is_no_password(written: str) -> None:
    """Its beginning says what it was."""
    assert kind_of(written) == "hash-unsound"


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_a_placeholder_is_no_password(written: str) -> None:
    """It would be the same password for every firm."""
    assert kind_of(written) == "placeholder"


@pytest.mark.parametrize("written", FORMULAS)
def test_a_formula_or_an_error_of_a_spreadsheet_is_no_password(written: str) -> None:
    """Excel's trick to keep leading zeros is one of them."""
    assert kind_of(written) == "formula"


@pytest.mark.parametrize("written", SCIENTIFIC)
def test_a_number_that_a_spreadsheet_rounded_is_no_password(written: str) -> None:
    """Its last digits are lost."""
    assert kind_of(written) == "scientific"


@pytest.mark.parametrize("written", ["a\ufffdb12345", "锟斤拷锟斤拷1"])
def test_a_password_with_lost_characters_is_none(written: str) -> None:
    """It was decoded wrongly before."""
    assert kind_of(written) == "control"


@pytest.mark.parametrize(
    "written",
    [
        *("Opening-1", "1", "12345678", "00123456", "x", "12e4", "1E5", "!@#$%^&*", "开户密码1"),
        *(
            "deadbeef",
            "1234567890123456",
            "abcdefabcdefabcd",
            "550e8400-e29b-41d4-a716-446655440000",
        ),
        *("p{a}ss", "$ecret", "US$100", "Null1", "无名氏2012", "#1password", "a=b", "a**b", "xx"),
        *("correct horse battery staple", "Tr0ub4dor&3", "md5", "sha1:", "bcrypt", "nothing?"),
    ],
)
def test_what_people_choose_is_a_password(written: str) -> None:
    """Also a weak one: the policy applies to new passwords only."""
    assert kind_of(written) is None


@pytest.mark.parametrize("written", ["x" * 513, "x" * 129, "{bcrypt}" * 100])
def test_a_text_that_nobody_would_type_is_no_password(written: str) -> None:
    """Whatever it begins like."""
    assert kind_of(written) == "too-long"


@given(st.text(min_size=1, max_size=700))
def test_any_text_is_a_password_or_has_a_fault(text: str) -> None:
    """No text raises another error."""
    kind_of(text)


@given(st.binary(min_size=16, max_size=64), st.sampled_from(["", "salt:", "0x", "{MD5}", "md5$a$"]))
def test_no_digest_is_a_password(raw: bytes, prefix: str) -> None:
    """Whatever its bytes are, in either case."""
    for text in (raw.hex(), raw.hex().upper()):
        assert kind_of(prefix + text) == "hash-foreign"


@pytest.mark.parametrize("written", [*PLACEHOLDERS, *FORMULAS])
def test_they_are_no_name_either(written: str) -> None:
    """A firm or its head would be stored under it."""
    with pytest.raises(CellError) as error:
        parse_text(written)
    assert error.value.kind in ("formula", "placeholder", "control", "substitution")
