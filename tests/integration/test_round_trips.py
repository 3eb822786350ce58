"""The number of calls to DynamoDB for each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from chalicelib.store.models import LoginItem
from tests.conftest import World, imported_hash, store_calls
from tests.support.callbacks import TAPPED, send_message


@pytest.fixture
def counted(world: World) -> Iterator[list[str]]:
    """The operations that were sent, in order."""
    with store_calls() as sent:
        yield sent


@contextmanager
def _only(sent: list[str]) -> Iterator[list[str]]:
    sent.clear()
    yield sent


def test_each_step_has_its_calls(world: World, counted: list[str]) -> None:
    """First start 1, code 1, wrong code 2, confirm 2, or 3 after a wrong code or with another's code.

    A confirmation by SMS also reads whether the WeChat to bind follows the Official Account.

    The first sends and wrong codes of an instance in an hour, and later one in several, also write the
    service-wide budget, which this test prevents.
    """
    world.service.randbelow = lambda _: 1
    world.token("11010148_cw")  # The first call of a model also describes its table.
    with _only(counted) as calls:
        token = world.token()
        assert calls == ["UpdateItem"]
    with _only(counted) as calls:
        assert world.send(token).status_code == 202
        assert calls == ["TransactWriteItems"]
    with _only(counted) as calls:
        assert world.confirm(token, world.phones.codes[0]).status_code == 200
        assert calls == ["UpdateItem", "GetItem", "TransactWriteItems"]
    world.clock.time += 60
    world.login_item().update([LoginItem.openid.remove()])
    token, stranger = world.token(), world.token(openid="o-bob")
    with _only(counted) as calls:
        assert world.send(token).status_code == 202
        assert calls == ["TransactWriteItems"]
    code = world.phones.codes[1]
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for visitor in (token, token, stranger):
        with _only(counted) as calls:
            assert world.confirm(visitor, wrong).status_code == 400
            # The second one is the audit's record and the requester's count, in one.
            assert calls == ["UpdateItem", "TransactWriteItems"]
    with _only(counted) as calls:
        assert world.confirm(token, code).status_code == 200
        assert calls == ["UpdateItem", "TransactWriteItems", "GetItem", "TransactWriteItems"]


def test_a_confirmation_by_the_official_account_has_two_calls(
    world: World, counted: list[str]
) -> None:
    """The attempt, and the transaction that sets the password."""
    world.service.randbelow = lambda _: 1
    world.login_item().update([LoginItem.openid.set("o-alice")])
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    token = world.token()
    assert world.send(token).json_body["method"] == "wechat"
    with _only(counted) as calls:
        assert world.confirm(token, "000001").status_code == 200
        assert calls == ["UpdateItem", "TransactWriteItems"]


def test_a_callback_has_its_calls(world: World, counted: list[str]) -> None:
    """Follow and unfollow 1, text 0, scan 1, menu item 2.

    3 where codes are pending: for the code, its binding, and the stored reply for WeChat's repeats.
    """
    world.login_item().update([LoginItem.openid.set("o-alice")])
    scene = world.service.scenes.make("11010148", world.clock.time + 60)
    event = {"MsgType": "event"}
    costs: list[tuple[Mapping[str, object], list[str]]] = [
        ({**event, "Event": "subscribe"}, ["UpdateItem"]),
        ({**event, "Event": "VIEW", "EventKey": "https://recovery.example"}, []),
        ({"MsgType": "text", "MsgId": 1, "Content": "找回密码"}, []),
        ({**event, "Event": "SCAN", "EventKey": scene}, ["UpdateItem"]),
        (TAPPED, ["GetItem", "UpdateItem"]),
    ]
    send_message(world, {**event, "Event": "unsubscribe"})
    world.clock.time += 1
    for fields, cost in costs:
        with _only(counted) as calls:
            send_message(world, fields)
            assert calls == cost
    world.send(world.token())
    world.clock.time += 1
    with _only(counted) as calls:
        assert "验证码" in send_message(world, TAPPED)
        assert calls == ["GetItem", "BatchGetItem", "UpdateItem"]


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_a_verification_has_one_call_or_two(world: World, counted: list[str]) -> None:
    """Wrong, unknown and locked 1; right 2, since its attempt is refunded, also with a renewal."""
    world.service.randbelow = lambda _: 1

    def cost(password: str, login: str = "11010148") -> list[str]:
        counted.clear()
        world.call("POST", "/credentials/verify", {"login": login, "password": password})
        return list(counted)

    cost("Wrong-horse-1")  # The first call of a model also describes its table.
    assert cost("Wrong-horse-1") == ["UpdateItem"]
    assert cost("Wrong-horse-1", "99999999") == ["UpdateItem"]
    assert cost("Opening-password-1") == ["UpdateItem"] * 2
    stale = imported_hash("Opening-password-1")
    LoginItem("11010148").update([LoginItem.password_hash.set(stale)])
    assert cost("Opening-password-1") == ["UpdateItem"] * 2
    assert world.login_item().password_hash != stale
    for _ in range(3):
        assert cost("Wrong-horse-1") == ["UpdateItem"]
    world.clock.time += 5
    assert cost("Opening-password-1") == ["UpdateItem"]
