"""The firms among which the benchmark searches: the same items as those that the service writes."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from chalicelib.store.models import FirmItem, FollowerItem, LoginItem
from chalicelib.store.search import SearchIndex, entries_of
from tests.perf.bench import desk, population

INDEX = SearchIndex(b"p" * 32)


def written(one: population.Firm) -> dict[str, list[Any]]:
    """Return the firm's raw items by kind of table, in DynamoDB's JSON form."""
    found: dict[str, list[Any]] = defaultdict(list)
    for kind, item in population.items(one, INDEX):
        found[kind].append(json.loads(item))
    return found


def test_the_raw_items_are_those_of_the_models() -> None:
    """Facts, login, follower and every search entry, of branches and of others."""
    firms = [population.firm(number) for number in range(60)]
    assert {one.is_branch for one in firms} == {True, False}
    for one in firms:
        items, facts = written(one), one.facts
        login = LoginItem(
            facts.firm_no,
            firm_no=facts.firm_no,
            province=facts.province,
            head_id_last4=facts.head_id_last4,
            phone=one.phone,
            openid=one.openid,
            password_hash="old",
            password_version=1,
            changed_at=1_700_000_000,
            starts_by={},
        )
        follower = FollowerItem(one.openid, following=True, since=1_700_000_000)
        assert items["firms"] == [FirmItem(**asdict(facts)).serialize()]
        assert items["logins"] == [login.serialize()]
        assert items["followers"] == [follower.serialize()]
        entries = [*entries_of(facts), INDEX.phone_entry(facts.firm_no, one.phone)]
        assert sorted(map(str, map(sorted_, items["desk"]))) == sorted(
            str(sorted_(entry.serialize())) for entry in entries
        )


def sorted_(item: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return an item's attributes by name."""
    return sorted(item.items())


def test_a_firm_follows_from_its_number() -> None:
    """It is the same each time, and its number, phone and WeChat are nobody else's."""
    firms = [population.firm(number) for number in range(1_000)]
    assert firms[:20] == [population.firm(number) for number in range(20)]
    for kind in ("phone", "openid"):
        assert len({getattr(one, kind) for one in firms}) == len(firms)
    assert len({one.facts.firm_no for one in firms}) == len(firms)
    # Names are mostly different, cities are shared.
    assert len({one.facts.name for one in firms}) > 900
    assert 20 < len({one.city for one in firms}) <= 32


def test_every_kind_of_search_is_typed_from_a_firm() -> None:
    """A firm is searched by at least seven of the eight kinds, and a text is never empty."""
    for number in range(50):
        one = population.firm(number)
        typed = {kind: text(one) for kind, text in desk.KINDS.items()}
        missing = [kind for kind, text in typed.items() if text is None]
        assert missing == ([] if one.is_branch else ["name, from within a generic word on"])
        assert "" not in typed.values()
