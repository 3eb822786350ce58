"""A code that was not handed over leaves the one before live, with its own time and attempts."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.codes import LIFETIME
from chalicelib.domain.errors import Unavailable
from chalicelib.sms.gateway import Outcome
from chalicelib.store import sends
from chalicelib.store.attributes import plain_map
from chalicelib.store.dynamo import transact
from chalicelib.store.ephemeral_models import CodeItem, RequesterItem
from chalicelib.store.models import LoginItem
from tests.conftest import World
from tests.support.operator_cases import BY

MAIN = "11010148"


def resend_that_fails(world: World, token: str) -> None:
    """Request another code, which the gateway refuses."""
    world.clock.time += 60
    world.phones.outcomes = [Outcome.REFUSED]
    refused = world.send(token)
    assert (refused.status_code, refused.json_body["code"]) == (502, "delivery-failed")


def state(world: World, token: str) -> str:
    return str(world.call("GET", "/recovery", token=token).json_body["state"])


def test_the_first_code_is_right_after_a_failed_resend(world: World) -> None:
    """With the attempts that it had; the failed code is wrong, and another may be requested at once."""
    token = world.token()
    world.send(token)
    first = world.phones.codes[0]
    assert world.confirm(token, "000000").json_body["attempts_left"] == 4
    resend_that_fails(world, token)
    assert state(world, token) == "code_sent"
    assert world.confirm(token, world.phones.codes[1]).json_body["attempts_left"] == 3
    assert world.confirm(token, first).status_code == 200


def test_the_first_code_keeps_its_own_time(world: World) -> None:
    """A failed resend prolongs nothing."""
    token = world.token()
    world.send(token)
    resend_that_fails(world, token)
    world.clock.time += LIFETIME - 60
    assert state(world, token) == "open"
    assert world.confirm(token, world.phones.codes[0]).json_body["code"] == "code-expired"


def test_a_failed_send_is_not_counted(world: World) -> None:
    """Neither for the login nor for the requester; the next code replaces the first one."""
    token = world.token()
    world.send(token)
    resend_that_fails(world, token)
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[0]).json_body["code"] == "code-wrong"
    code = CodeItem.get(f"code#{MAIN}", consistent_read=True)
    assert (len(code.sends), len(code.senders)) == (2, 2)
    (requester,) = [item for item in RequesterItem.scan() if item.id.startswith("requester#")]
    assert (len(requester.sends), requester.sent_logins) == (2, [MAIN, MAIN])
    assert world.confirm(token, world.phones.codes[2]).status_code == 200


def test_without_a_first_code_none_is_live(world: World) -> None:
    """A first send that fails leaves nothing to enter."""
    token = world.token()
    world.clock.time -= 60
    resend_that_fails(world, token)
    assert state(world, token) == "open"
    assert world.confirm(token, world.phones.codes[0]).json_body["code"] == "code-expired"


def test_a_used_code_is_not_restored(world: World) -> None:
    """Its owner has a new password; a failed send afterwards makes no old code live again."""
    token = world.token()
    world.send(token)
    first = world.phones.codes[0]
    assert world.confirm(token, first).status_code == 200
    LoginItem(MAIN).update([LoginItem.openid.remove()])
    again = world.token()
    resend_that_fails(world, again)
    assert world.confirm(again, first, "Another-horse-8").json_body["code"] == "code-expired"
    assert world.confirm(token, first).status_code == 200


@pytest.mark.parametrize("change", ["phone", "unlock"])
def test_an_operator_s_change_during_a_send_ends_the_codes_it_should(
    world: World, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A new phone ends the code of the old one, which a failed resend restores no more."""
    token = world.token()
    world.send(token)
    first = world.phones.codes[0]
    send = world.phones.send

    def change_and_refuse(sms: object) -> object:
        monkeypatch.setattr(world.phones, "send", send)
        if change == "phone":
            assert world.service.desk.support.change_phone(MAIN, "13900002222", **BY).changed
        else:
            assert world.service.desk.support.unlock(MAIN, **BY).changed
        world.phones.outcomes = [Outcome.REFUSED]
        return send(sms)  # type: ignore[arg-type]

    monkeypatch.setattr(world.phones, "send", change_and_refuse)
    world.clock.time += 60
    assert world.send(token).status_code == 502
    code = CodeItem.get(f"code#{MAIN}", consistent_read=True)
    assert bool(code.digest) == (change == "unlock")
    answer = world.confirm(token, first)
    assert answer.status_code == (200 if change == "unlock" else 410)


def test_unlocking_clears_the_counts_of_all_requesters(world: World) -> None:
    """Afterwards each of them has its attempts again, on every login."""
    tokens = [world.token(openid=f"o-{number}") for number in range(3)]
    world.send(tokens[0])
    for token in tokens:
        for _ in range(3):
            assert world.confirm(token, "000000").status_code == 400
    assert world.service.desk.support.unlock(MAIN, **BY).changed
    code = CodeItem.get(f"code#{MAIN}", consistent_read=True)
    assert (code.sends, code.senders, code.wrongs) == ([], [], [])
    assert list(plain_map(code.wrong_by).values()) == [[]] * 3
    requesters = [item for item in RequesterItem.scan() if item.id.startswith("requester#")]
    assert [item.wrongs for item in requesters] == [[]] * 3
    assert world.confirm(tokens[1], world.phones.codes[0]).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(0, 202), (3, 429)])
def test_a_send_of_unknown_outcome_is_cancelled_where_there_is_time(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: int, status: int
) -> None:
    """The store wrote it, and its answer was lost, at once or after the function's time was used up."""
    token = world.token()

    def lost(*arguments: Any) -> None:
        monkeypatch.undo()
        transact(*arguments)
        world.clock.time += seconds
        raise Unavailable("store")

    monkeypatch.setattr(sends, "transact", lost)
    assert world.send(token).status_code == 503
    assert world.phones.sent == []
    assert world.send(token).status_code == status
