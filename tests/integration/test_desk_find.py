"""Finding firms at the support desk: by number, name, head and phone, and in bounded calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.exceptions import PynamoDBException

from chalicelib.domain import search_terms
from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.firms import FirmFacts
from chalicelib.services.desk.find import MOST, FindResult
from chalicelib.store import search as store_search
from chalicelib.store.desk_models import DeskItem
from chalicelib.store.firms import set_facts
from chalicelib.store.models import FirmItem, LoginItem
from tests.conftest import MakeWorld, World, store_calls

NAMES = {
    "11010001": "北京中天恒信会计师事务所（特殊普通合伙）",
    "11010002": "中天运会计师事务所有限公司北京分所",
    "31000003": "上海立信会计师事务所（普通合伙）",
    "44000004": "广东中 天会计师事务所有限责任公司",
    "51000005": "ABC 会计师事务所",
}
HEADS = {"11010001": "王小明", "11010002": "王大", "31000003": "阿依古丽·买买提"}
PHONE, OTHER = "+8613912340001", "+8613912340002"


def facts(firm_no: str, name: str, head: str = "李四") -> FirmFacts:
    """Return a firm's facts."""
    return FirmFacts(firm_no, name, "11", "京财会许可〔2012〕0084号", head, "123X")


def enrol(world: World, firm: FirmFacts, phone: str | None = None) -> None:
    """Write a firm, its logins and its entries."""
    FirmItem(firm.firm_no).update(set_facts(firm))
    for login in (firm.firm_no, f"{firm.firm_no}_cw"):
        LoginItem(login, firm_no=firm.firm_no, phone=phone).save()
    phones = [(firm.firm_no, phone), (f"{firm.firm_no}_cw", phone)] if phone else []
    world.service.desk.search_index.add(firm, phones)


@pytest.fixture
def firms(make_world: MakeWorld) -> World:
    """A world with the firms of NAMES."""
    world = make_world()
    for number, name in NAMES.items():
        phone = PHONE if number in ("11010001", "31000003") else None
        enrol(world, facts(number, name, HEADS.get(number, "李四")), phone)
    return world


def found(world: World, text: str) -> list[str]:
    """Return the numbers of the firms found."""
    return [firm.firm_no for firm in search(world, text).firms]


def search(world: World, text: str) -> FindResult:
    return world.service.desk.find.find(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("北京中天恒信会计师事务所（特殊普通合伙）", ["11010001"]),
        ("中天", ["11010001", "11010002", "44000004"]),
        ("天恒", ["11010001"]),
        ("恒 信", ["11010001"]),
        ("恒信会计师", ["11010001"]),
        ("信", ["11010001", "31000003"]),
        ("北京分所", ["11010002"]),
        ("有限公司北京", ["11010002"]),
        ("公司北京", ["11010002"]),
        ("立信会计师事务所(普通", ["31000003"]),
        ("abc", ["51000005"]),
        ("ＡＢＣ", ["51000005"]),
        ("⽴信", ["31000003"]),
        ("会计师事务所", []),
        ("事务所", []),
        ("不存在", []),
    ],
)
def test_a_part_of_the_name_finds_its_firms(firms: World, text: str, expected: list[str]) -> None:
    """Any part, in any width and spacing; words that every name has find nothing by themselves."""
    assert sorted(found(firms, text)) == expected


@pytest.mark.parametrize(
    ("text", "expected", "login"),
    [
        ("11010001", ["11010001"], "11010001"),
        ("１１０１０００１", ["11010001"], "11010001"),
        ("1101 0001_CW", ["11010001"], "11010001_cw"),
        ("1101", ["11010001", "11010002"], None),
        ("110", [], None),
        ("0001", [], None),
    ],
)
def test_a_number_finds_by_its_beginning(
    firms: World, text: str, expected: list[str], login: str | None
) -> None:
    """From four digits on; a whole login is marked."""
    result = search(firms, text)
    assert sorted(firm.firm_no for firm in result.firms) == expected
    marked = [each.login for firm in result.firms for each in firm.logins if each.matches]
    assert marked == ([login] if login else [])


def test_a_head_finds_by_the_beginning_of_the_name(firms: World) -> None:
    """Middle dots and spaces do not matter, and the head's name is in no answer."""
    assert found(firms, "王小明") == ["11010001"]
    assert sorted(found(firms, "王")) == ["11010001", "11010002"]
    assert found(firms, "阿依古丽买买提") == ["31000003"]
    assert found(firms, "小明") == []
    assert "王小明" not in repr(search(firms, "王小明"))


@pytest.mark.parametrize("text", ["13912340001", "+86 139-1234-0001", "１３９１２３４０００１"])
def test_a_whole_phone_finds_the_logins_that_share_it(firms: World, text: str) -> None:
    """Masked; a part of a phone finds nothing."""
    result = search(firms, text)
    assert {firm.firm_no for firm in result.firms} == {"11010001", "31000003"}
    assert {firm.by for firm in result.firms} == {"phone"}
    assert all(login.matches for firm in result.firms for login in firm.logins)
    assert "13912340001" not in repr(result)
    assert "139****0001" in repr(result)
    assert found(firms, "1391234000") == []


def test_no_entry_has_a_phone_in_the_clear(firms: World) -> None:
    """A keyed digest stands in its place."""
    entries = list(DeskItem.scan())
    assert sum(entry.kind.startswith("phone#") for entry in entries) == 4
    assert not [entry for entry in entries if "1391234" in entry.kind + entry.id]


def test_former_names_and_phones_find_nothing(firms: World) -> None:
    """Neither where the entry was removed nor where it was left behind."""
    firms.service.desk.support.change_phone("11010001", OTHER, actor="a", reason="r")
    assert found(firms, "13912340001") == ["11010001", "31000003"]
    result = search(firms, "13912340001").firms
    assert [each.login for each in result[0].logins if each.matches] == ["11010001_cw"]
    assert found(firms, "13912340002") == ["11010001"]
    was, now = facts("11010001", NAMES["11010001"]), facts("11010001", "新名会计师事务所")
    FirmItem("11010001").update(set_facts(now))
    firms.service.desk.search_index.add(now)
    assert found(firms, "恒信") == []
    index = firms.service.desk.search_index
    assert index.by_name("恒信", 5).firms == ["11010001"]
    index.remove(was, now)
    assert index.by_name("恒信", 5).firms == []
    assert found(firms, "新名") == ["11010001"]


def test_a_removal_that_fails_keeps_nobody_from_being_notified(
    firms: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phone has changed by then; the entry that is left behind finds nothing."""

    def fail(*_: object, **__: object) -> None:
        raise PynamoDBException("no answer")

    monkeypatch.setattr(DeskItem, "delete", fail)
    changed = firms.service.desk.support.change_phone("11010001", OTHER, actor="a", reason="r")
    assert changed.changed
    assert [sms.to for sms in firms.phones.sent] == [PHONE, OTHER]
    result = search(firms, "13912340001").firms
    marked = [each.login for firm in result for each in firm.logins if each.matches]
    assert "11010001" not in marked


def test_a_head_that_was_corrected_to_none_finds_nothing(firms: World) -> None:
    """The entries of the number and of the name stay."""
    index = firms.service.desk.search_index
    was = facts("11010001", NAMES["11010001"], HEADS["11010001"])
    index.remove(was, replace(was, head_name=""))
    assert index.by_head("王小明", 5) == []
    assert index.by_name("恒信", 5).firms == index.by_number("11010001", 5) == ["11010001"]


def test_more_firms_than_fit_are_announced(make_world: MakeWorld) -> None:
    """Twenty are shown."""
    world = make_world()
    for number in range(MOST + 3):
        enrol(world, facts(f"1101{number:04d}", f"示例{number:02d}会计师事务所"))
    result = search(world, "示例")
    assert (len(result.firms), result.more) == (MOST, True)
    assert len(search(world, "示例0").firms) == 10
    assert search(world, "示例0").more is False


def test_a_search_that_is_cut_short_says_so(firms: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk does not state that a firm does not exist where it has read only some entries."""
    monkeypatch.setattr(store_search, "_PAGE", 1)
    monkeypatch.setattr(store_search, "_PAGES", 1)
    for number in range(3):
        enrol(firms, facts(f"1101{1000 + number}", f"北京A{number}会计师事务所"))
    part = "有限公司北京"
    assert search(firms, part) == FindResult((), more=True)
    monkeypatch.undo()
    assert (found(firms, part), search(firms, part).more) == (["11010002"], False)


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "x" * 201])
def test_a_search_for_nothing_is_refused(firms: World, text: str) -> None:
    """So is one longer than any name."""
    with pytest.raises(InvalidInput):
        search(firms, text)


def test_a_search_is_few_calls(firms: World) -> None:
    """One Query and one BatchGetItem for each kind of match, however many firms there are."""
    texts = (("11010001", 2), ("中天", 3), ("13912340001", 3))
    few = {text: calls_of(firms, text) for text, _ in texts}
    for text, calls in texts:
        assert len(few[text]) <= calls + 1, (text, few)
        assert set(few[text]) <= {"Query", "BatchGetItem"}
    for number in range(100):
        enrol(firms, facts(f"1101{1000 + number}", f"北京中天{number}会计师事务所"))
    assert len(found(firms, "中天")) == MOST
    assert all(len(calls_of(firms, text)) <= len(few[text]) for text, _ in texts)


def calls_of(world: World, text: str) -> list[str]:
    """Return the operations that a search sends to DynamoDB."""
    with store_calls() as sent:
        search(world, text)
    return list(sent)


@given(
    st.text(
        st.sampled_from("北京中天会计师事务所有限公司普通合伙分()特殊信"), min_size=1, max_size=30
    ),
    st.data(),
)
def test_every_part_that_begins_outside_generic_words_is_an_entry_s_beginning(
    name: str, data: st.DataObject
) -> None:
    """The entries are enough for every such part; what the search begins with is in the part."""
    folded = search_terms.fold(name)
    positions = search_terms.beginnings(folded)
    start = data.draw(st.integers(0, len(folded) - 1))
    part = folded[start : start + data.draw(st.integers(1, 30))]
    first = search_terms.first_beginning(part)
    if start in positions and first == 0:
        assert any(folded[position:].startswith(part) for position in positions)
    if first is not None:
        assert 0 <= first < len(part)
