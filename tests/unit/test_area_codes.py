"""The area codes of the default `_cw` passwords, compared with the plan of `phonenumbers`."""

from __future__ import annotations

import csv
from pathlib import Path

import phonenumbers
import pytest
from phonenumbers import geocoder

from chalicelib.domain import passwords
from chalicelib.domain.passwords import area_codes, default_password
from chalicelib.settings import SettingsError, load
from tests.conftest import SETTINGS, MakeWorld, add_firm

FILE = Path(passwords.__file__).with_name("area_codes.csv")
ROWS = list(csv.DictReader(FILE.read_text("utf-8").splitlines()))

# GB/T 2260, the 31 provinces that firms are registered in (all but Taiwan, Hong Kong and Macau).
PROVINCES = {
    *("11", "12", "13", "14", "15", "21", "22", "23"),
    *("31", "32", "33", "34", "35", "36", "37"),
    *("41", "42", "43", "44", "45", "46"),
    *("50", "51", "52", "53", "54"),
    *("61", "62", "63", "64", "65"),
}


def places(area_code: str) -> set[str]:
    """Return the numbering plan's names for an area code, over the first digits in use there."""
    found = set()
    for first in "2345678":
        for digits in (7, 8):
            subscriber = first + "1" * (digits - 1)
            number = phonenumbers.parse(area_code + subscriber, "CN")
            if phonenumbers.is_valid_number(number):
                found.add(geocoder.description_for_number(number, "zh"))
    return found - {"", "中国"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["capital"])
def test_the_code_is_that_of_the_capital(row: dict[str, str]) -> None:
    """It has its leading zero and belongs to no other province."""
    assert row["area_code"].startswith("0")
    named = places(row["area_code"])
    assert named
    province = row["name"][: 3 if row["name"][:2] in ("黑龙", "内蒙") else 2]
    for place in named:
        assert row["capital"] in place, (row, place)
        assert place.startswith(province), (row, place)


def test_codes_of_other_cities_do_not_match() -> None:
    """The plan distinguishes cities, so that the test above can fail."""
    assert not any("广州" in place for place in places("0755"))
    assert not any("成都" in place for place in places("023"))


def test_each_province_has_one_code() -> None:
    """31 rows, 31 provinces, 31 codes."""
    assert len(ROWS) == 31
    assert {row["province"] for row in ROWS} == PROVINCES == set(area_codes())
    assert len({row["area_code"] for row in ROWS}) == 31


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["capital"])
def test_the_default_password_is_the_area_code_and_the_head_s_id(row: dict[str, str]) -> None:
    """The head's last four ID characters follow, X in upper case."""
    assert default_password(row["province"], "123x", {}) == row["area_code"] + "123X"


@pytest.mark.parametrize(
    ("province", "head_id_last4"), [(None, "123X"), ("", "123X"), ("11", None), ("11", "")]
)
def test_without_a_part_there_is_no_default_password(
    province: str | None, head_id_last4: str | None
) -> None:
    """A part alone would be a password that is easily guessed."""
    assert default_password(province, head_id_last4, {}) is None


def test_an_override_applies_to_its_province_only() -> None:
    """The setting's code is used instead of the table's."""
    overrides = load({**SETTINGS, "AREA_CODE_OVERRIDES": "65=0994, 23=045"}).area_code_overrides
    assert default_password("65", "1234", overrides) == "09941234"
    assert default_password("23", "1234", overrides) == "0451234"
    assert default_password("11", "1234", overrides) == "0101234"


@pytest.mark.parametrize(
    "text", ["65", "65=", "65=991", "99=0991", "65=0991x", "65=０９９１", "=0991"]
)
def test_a_malformed_override_is_a_fault_of_the_settings(text: str) -> None:
    """A wrong area code would set thousands of wrong passwords."""
    with pytest.raises(SettingsError) as caught:
        load({**SETTINGS, "AREA_CODE_OVERRIDES": text})
    assert [fault.split()[0] for fault in caught.value.faults] == ["AREA_CODE_OVERRIDES"]


def test_the_policy_refuses_the_overridden_default(make_world: MakeWorld) -> None:
    """The setting reaches the recovery: its default may not be chosen as the new password."""
    world = make_world(AREA_CODE_OVERRIDES="11=0999")
    add_firm(world.service.hasher)
    token = world.token("11010148_cw")
    world.send(token)
    code = world.phones.codes[0]
    refused = world.confirm(token, code, "Go-0999123X")
    assert (refused.status_code, refused.json_body["code"]) == (422, "weak-password")
    assert world.confirm(token, code, "Go-010123X").status_code == 200
