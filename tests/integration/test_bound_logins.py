"""The logins of a WeChat: `GET /recovery/logins`."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.models import FirmItem, LoginItem
from tests.conftest import World, add_firm, store_calls

NAME = "示例会计师事务所"


def listed(world: World, openid: str | None = "o-alice") -> list[dict[str, Any]]:
    answer = world.call("GET", "/recovery/logins", openid=openid)
    assert answer.status_code == 200, answer.body
    return list(answer.json_body["logins"])


def bind(login: str, openid: str) -> None:
    LoginItem(login).update([LoginItem.openid.set(openid)])


@pytest.fixture(params=["moto", "DynamoDB Local"])
def place(request: pytest.FixtureRequest) -> World:
    """A world with two firms, on each store."""
    name = "world" if request.param == "moto" else "real_world"
    world: World = request.getfixturevalue(name)
    add_firm(world.service.hasher, "22010148", phone="+8613900005678")
    return world


def test_bound_logins_have_names_and_the_firm_s_other_one_none(place: World) -> None:
    bind("11010148_cw", "o-alice")
    for login in ("22010148", "22010148_cw"):
        bind(login, "o-alice")
    assert listed(place) == [
        {"login": "11010148", "name": None},
        {"login": "11010148_cw", "name": NAME},
        {"login": "22010148", "name": NAME},
        {"login": "22010148_cw", "name": NAME},
    ]


def test_nobody_else_has_them(place: World) -> None:
    """Neither another WeChat nor a visitor outside WeChat."""
    bind("11010148", "o-alice")
    assert listed(place, "o-bob") == []
    assert listed(place, None) == []


def test_an_unbound_login_is_not_listed(place: World) -> None:
    bind("11010148", "o-alice")
    LoginItem("11010148").update([LoginItem.openid.remove()])
    assert listed(place) == []


def test_an_entry_of_the_index_is_checked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be behind the table: the login has been bound to another WeChat since."""
    bind("11010148", "o-bob")
    stale = [LoginItem("11010148", openid="o-alice")]
    monkeypatch.setattr(LoginItem.by_openid, "query", lambda *_, **__: iter(stale))
    assert listed(world) == []


@pytest.mark.parametrize("gone", [LoginItem, FirmItem])
def test_an_entry_of_a_login_that_was_deleted_is_skipped(
    world: World, monkeypatch: pytest.MonkeyPatch, gone: type[LoginItem | FirmItem]
) -> None:
    """The index may still have it, and an incomplete firm has no name to show."""
    bind("11010148", "o-alice")
    stale = [LoginItem("11010148", openid="o-alice")]
    monkeypatch.setattr(LoginItem.by_openid, "query", lambda *_, **__: iter(stale))
    assert [each["login"] for each in listed(world)] == ["11010148", "11010148_cw"]
    monkeypatch.setattr(LoginItem.by_openid, "query", lambda *_, **__: iter(stale))
    gone("11010148").delete()
    assert listed(world) == []


def test_the_list_has_two_calls(world: World) -> None:
    """One outside any binding, and none outside WeChat."""
    bind("11010148", "o-alice")
    listed(world)
    for openid, cost in (("o-alice", ["Query", "BatchGetItem"]), ("o-bob", ["Query"]), (None, [])):
        with store_calls() as calls:
            listed(world, openid)
        assert calls == cost
