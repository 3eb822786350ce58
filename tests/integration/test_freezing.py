"""A frozen login: no recovery begins, what is open ends, and no password of it is valid."""

from __future__ import annotations

import pytest

from chalicelib.domain.catalogue import SUPPORT
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PHONE, World, store_calls

LOGIN = "11010148"
RIGHT, WRONG = "Opening-password-1", "Wrong-password-1"
BY = {"actor": "arn:aws-cn:iam::1:user/ops", "reason": "本人来电，不是其操作"}


def freeze(world: World) -> None:
    """Freeze the login."""
    assert world.service.desk.support.freeze(LOGIN, **BY).changed


def verify(world: World, password: str, login: str = LOGIN) -> object:
    """Return the body of a verification."""
    answer = world.call("POST", "/credentials/verify", {"login": login, "password": password})
    assert answer.status_code == 200
    return answer.json_body


def test_no_recovery_of_it_begins(world: World) -> None:
    """403 `frozen`, which names the telephone, in one call as ever; nothing is counted."""
    freeze(world)
    with store_calls() as sent:
        answer = world.start()
    assert (answer.status_code, answer.json_body["code"]) == (403, "frozen")
    assert SUPPORT in answer.json_body["detail"]
    assert sent == ["UpdateItem"]
    assert not world.login_item().starts
    assert world.start("11010148_cw").status_code == 201


def test_the_frozen_answer_comes_before_those_of_limits(world: World) -> None:
    """Waiting would not help."""
    LoginItem(LOGIN).update([LoginItem.starts.set([world.clock.time] * 30)])
    freeze(world)
    assert world.start().json_body["code"] == "frozen"


def test_a_recovery_that_was_open_ends(world: World) -> None:
    """Its code is of no use, and no other one is sent."""
    token = world.token()
    world.send(token)
    freeze(world)
    before = world.login_item().password_hash
    assert world.confirm(token, world.phones.codes[0]).status_code in (401, 410)
    world.clock.time += 61
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")
    assert world.login_item().password_hash == before
    # Not even where it is unfrozen meanwhile.
    world.service.desk.support.unfreeze(LOGIN, **BY)
    assert world.send(token).status_code == 401
    assert world.send(world.token()).status_code == 202


@pytest.mark.parametrize("password", [RIGHT, WRONG])
def test_no_password_of_it_is_valid(world: World, password: str) -> None:
    """Right or wrong, the answer is the same; checks do not lock the login."""
    freeze(world)
    frozen = {"valid": False, "must_change": False, "changed_at": 0, "frozen": True}
    for _ in range(7):
        assert verify(world, password) == frozen
    assert not world.login_item().failures
    world.service.desk.support.unfreeze(LOGIN, **BY)
    body = verify(world, RIGHT)
    assert body == {"valid": True, "must_change": False, "changed_at": 1_700_000_000}


def test_an_unknown_login_is_not_frozen(world: World) -> None:
    """Its answer is that of a wrong password."""
    assert verify(world, RIGHT, "99999999") == verify(world, WRONG)


def test_freezing_is_audited_and_notified_once(world: World) -> None:
    """Both ways; a repeat changes nothing and notifies nobody."""
    freeze(world)
    assert world.service.desk.support.freeze(LOGIN, **BY).changed is False
    assert world.service.desk.support.unfreeze(LOGIN, **BY).changed is True
    assert world.service.desk.support.unfreeze(LOGIN, **BY).changed is False
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "frozen"),
        (PHONE, "unfrozen"),
    ]
    events = [(item.event, item.actor, item.reason) for item in AuditItem.query(LOGIN)]
    assert events == [(name, BY["actor"], BY["reason"]) for name in ("frozen", "unfrozen")]
