"""Rows of the directory file: accepted, corrected and refused cells."""

from __future__ import annotations

import base64
from dataclasses import fields

import pytest
from argon2 import PasswordHasher as Argon2
from argon2 import Type

from chalicelib.domain.firms import FirmFacts
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store.models import FirmItem
from infra.ops.enrolment.directory_row import (
    COLUMN_NAMES,
    COLUMNS,
    Entry,
    header_faults,
    read_row,
)

GOOD = {
    "firm_no": "11010148",
    "name": "北京示例会计师事务所（特殊普通合伙）",
    "province": "11",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
    "head_id_last4": "123X",
    "phone": "13800001234",
    "finance_phone": "13900002222",
    "opening_password": "Opening-1",
}


def read(**changed: str) -> Entry | list[str]:
    return read_row({**GOOD, **changed})


def good(**changed: str) -> Entry:
    entry = read(**changed)
    assert isinstance(entry, Entry), entry
    return entry


def faults(**changed: str) -> list[str]:
    found = read(**changed)
    assert isinstance(found, list), found
    return found


def test_a_good_row_is_read_whole() -> None:
    """The entry has every column, with phones in E.164."""
    assert good() == Entry(
        FirmFacts(
            firm_no="11010148",
            name="北京示例会计师事务所（特殊普通合伙）",
            province="11",
            approval_no="京财会许可〔2012〕0084号",
            head_name="阿依古丽·买买提",
            head_id_last4="123X",
        ),
        "+8613800001234",
        "+8613900002222",
        "Opening-1",
    )


def test_phones_and_opening_password_may_be_missing() -> None:
    """Empty cells of the three optional columns mean that there is none."""
    entry = good(phone="", finance_phone=" ", opening_password="")
    assert (entry.phone, entry.finance_phone, entry.opening_password) == (None, None, None)


def test_the_firm_s_facts_have_one_set_of_names() -> None:
    """The required columns, the fields of FirmFacts and the table's attributes are the same.

    Besides, an item has the version of its shape and the end of a closed firm.
    """
    facts = {fact.name for fact in fields(FirmFacts)}
    assert {column.name for column in COLUMNS if column.required} == facts
    assert set(FirmItem.get_attributes()) == facts | {"shape", "closed_at", "expires_at"}


@pytest.mark.parametrize("column", [column.name for column in COLUMNS if column.required])
def test_the_other_columns_must_not_be_empty(column: str) -> None:
    """An empty required cell is named."""
    assert faults(**{column: " "}) == [f"{column}为空"]


def test_all_faults_of_a_row_are_reported() -> None:
    """Each bad cell has its own reason."""
    found = faults(
        firm_no="1101014", province="99", head_id_last4="12345", phone="1", finance_phone="2"
    )
    assert [reason.partition("应为")[0] for reason in found] == [
        "firm_no",
        "province",
        "head_id_last4",
        "phone",
        "finance_phone",
    ]


@pytest.mark.parametrize(
    ("column", "written", "stored"),
    [
        ("firm_no", "11010148.0", "11010148"),
        ("firm_no", " １１０１０１４８ ", "11010148"),
        ("firm_no", "4499000501", "4499000501"),
        ("province", "11.0", "11"),
        ("province", "１１", "11"),
        ("head_id_last4", "123x", "123X"),
        ("head_id_last4", "１２３ｘ", "123X"),
        ("head_id_last4", "0007", "0007"),
        ("head_id_last4", "7.0", "0007"),
        ("head_id_last4", "1234.0", "1234"),
        ("name", "  示例\n会计师   事务所 ", "示例 会计师 事务所"),
        ("head_name", "买买提\u200b·示例", "买买提·示例"),
        ("head_name", "𬳽𮧴", "𬳽𮧴"),
    ],
)
def test_unambiguous_cells_are_corrected(column: str, written: str, stored: str) -> None:
    """Changes by a spreadsheet or a keyboard are undone."""
    assert getattr(good(**{column: written}).facts, column) == stored


@pytest.mark.parametrize(
    ("column", "written", "says"),
    [
        ("firm_no", "1101014", "8至20位"),
        ("firm_no", "1" * 21, "8至20位"),
        ("firm_no", "1101o148", "8至20位"),
        ("firm_no", "١١٠١٠١٤٨", "8至20位"),
        ("firm_no", "1.101E+15", "科学计数法"),
        ("phone", "1.38E+10", "科学计数法"),
        ("province", "010", "行政区划"),
        ("province", "71", "行政区划"),
        ("head_id_last4", "123", "开头的0"),
        ("head_id_last4", "X123", "三位数字"),
        ("head_id_last4", "12345.0", "三位数字"),
        ("name", "事务所" * 50, "过长"),
        ("name", "示例\x1b[31m", "控制字符"),
        ("head_name", "甄\ufffd例", "乱码"),
        ("opening_password", "a\x00b", "控制字符"),
        ("opening_password", "a\nb", "控制字符"),
        ("opening_password", "x" * 121, "过长"),
    ],
)
def test_ambiguous_cells_are_refused(column: str, written: str, says: str) -> None:
    """The fault names the column and the reason, and does not quote the cell."""
    (reason,) = faults(**{column: written})
    assert reason.startswith(column)
    assert says in reason
    assert len(written) < 4 or written not in reason


def test_spaces_around_an_opening_password_are_removed_with_a_note() -> None:
    """An export adds them, not the person."""
    entry = good(opening_password="  Opening 1 ")
    assert entry.opening_password == "Opening 1"
    assert entry.notes == ("开户密码首尾的空格已去掉",)
    assert good().notes == ()


def test_faults_of_the_file_reader_come_first() -> None:
    """Their columns may be missing; the other columns are still checked."""
    values = {column: text for column, text in GOOD.items() if column != "firm_no"}
    assert read_row({**values, "phone": "1"}, ("firm_no不可读",)) == [
        "firm_no不可读",
        "phone应为11位大陆手机号",
    ]


def test_a_missing_column_without_a_fault_raises() -> None:
    """No entry is made of half a row."""
    with pytest.raises(KeyError):
        read_row({"firm_no": "11010148"})


def test_personal_facts_are_not_in_the_entry_s_repr() -> None:
    """It shows no password, phone or ID digits in a traceback or a log."""
    shown = repr(good())
    assert "Opening-1" not in shown
    assert "1234" not in shown
    assert "123X" not in shown


@pytest.mark.parametrize("kind", [Type.ID, Type.I, Type.D])
def test_argon2_strings_are_accepted_as_hashes(kind: Type) -> None:
    """A PHC string of any argon2 kind can be verified later."""
    made = Argon2(time_cost=1, memory_cost=64, parallelism=1, type=kind, hash_len=64).hash("old-1")
    entry = good(opening_password=made)
    assert entry.scheme == "argon2"
    assert PasswordHasher({1: b"p" * 32}).verify(made, "old-1")


def test_a_plain_password_is_no_hash() -> None:
    """It is hashed when it is loaded."""
    assert good(opening_password="Opening-1").scheme is None
    assert good(opening_password="").scheme is None


SALT = base64.b64encode(b"s" * 16).decode().rstrip("=")
TAG = base64.b64encode(b"t" * 32).decode().rstrip("=")


@pytest.mark.parametrize(
    "written",
    [
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}",
        f"$argon2id$m=19456,t=2,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=19456,t=0,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=19456,t=2,p=0${SALT}${TAG}",
        f"$argon2id$v=19$m=19456,t=2,p=17${SALT}${TAG}",
        f"$argon2id$v=19$m=7,t=2,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=262145,t=1,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=262144,t=5,p=1${SALT}${TAG}",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}$dGFn",
        f"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${TAG}",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${TAG}aa",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${TAG[:-1]}B",
        f"$argon2xx$v=19$m=19456,t=2,p=1${SALT}${TAG}",
        f"{{argon2}}$argon2id$v=19$m=262145,t=1,p=1${SALT}${TAG}",
        "$argon2id$",
    ],
)
def test_broken_or_expensive_argon2_strings_are_refused(written: str) -> None:
    """Truncated, malformed, or more expensive to verify than a request may be."""
    (reason,) = faults(opening_password=written)
    assert reason.startswith("opening_password中的密码哈希不可用")


def test_columns_may_stand_in_any_order() -> None:
    """Only which columns there are counts."""
    assert header_faults(list(reversed(COLUMN_NAMES))) == []


def test_header_faults_are_named() -> None:
    """Missing, unknown and repeated columns."""
    header = [*COLUMN_NAMES[1:], "name", "wechat"]
    assert header_faults(header) == ["缺少列firm_no", "不认识的列wechat", "列name重复"]
