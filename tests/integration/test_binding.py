"""Binding: only a WeChat that follows the Official Account, since codes reach no other."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.services.follower_check import FollowerCheck
from chalicelib.store.bindings import Bindings
from chalicelib.store.models import AuditItem
from tests.conftest import PASSWORD, World
from tests.support.callbacks import send_message

EVENT = {"MsgType": "event"}


class Platform:
    """WeChat's answer about followers; None where it does not answer."""

    def __init__(self, following: bool | None) -> None:
        self.following = following
        self.asked: list[str] = []

    def is_following(self, openid: str, patience: float) -> bool:
        self.asked.append(openid)
        if self.following is None:
            raise Unavailable("wechat")
        return self.following


def ask(world: World, following: bool | None) -> Platform:
    platform = Platform(following)
    world.service.follower_check = FollowerCheck(world.service.followers, platform)  # type: ignore[arg-type]
    return platform


def recover(world: World) -> dict[str, Any]:
    token = world.token()
    world.send(token)
    answer = world.confirm(token, world.phones.codes[-1])
    assert answer.status_code == 200, answer.body
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    return dict(answer.json_body)


@pytest.mark.parametrize("following", [True, False])
def test_the_last_event_decides(world: World, following: bool) -> None:
    """WeChat is not asked where an event says whether the openid follows."""
    platform = ask(world, not following)
    send_message(world, {**EVENT, "Event": "subscribe" if following else "unsubscribe"})
    assert recover(world)["wechat_bound"] is following
    assert world.login_item().openid == ("o-alice" if following else None)
    assert platform.asked == []


@pytest.mark.parametrize("following", [True, False, None])
def test_without_an_event_wechat_is_asked(world: World, following: bool | None) -> None:
    """Where it does not answer, the password is set and nothing is bound."""
    platform = ask(world, following)
    assert recover(world)["wechat_bound"] is bool(following)
    assert world.login_item().openid == ("o-alice" if following else None)
    assert platform.asked == ["o-alice"]


def test_the_notice_and_the_audit_name_a_binding_only_where_there_is_one(world: World) -> None:
    platform = ask(world, False)
    recover(world)
    assert world.phones.sent[-1].template == "password-reset"
    event = [item for item in AuditItem.query("11010148") if item.event == "password-recovered"]
    assert [item.outcome for item in event] == [None]
    platform.following = True
    world.clock.time += 60
    recover(world)
    assert world.phones.sent[-1].template == "wechat-bound"


def test_a_repeated_confirmation_states_the_same(world: World) -> None:
    """Its first response may have been lost."""
    platform = ask(world, False)
    for login, following in (("11010148", False), ("11010148_cw", True)):
        platform.following = following
        world.clock.time += 60
        token = world.token(login)
        world.send(token)
        code = world.phones.codes[-1]
        answers = [world.confirm(token, code).json_body for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0]["wechat_bound"] is following


def test_a_wrong_code_asks_nobody(world: World) -> None:
    platform = ask(world, True)
    token = world.token()
    world.send(token)
    wrong = f"{(int(world.phones.codes[-1]) + 1) % 1_000_000:06d}"
    assert world.confirm(token, wrong).status_code == 400
    assert platform.asked == []


@pytest.mark.parametrize("following", [True, False])
def test_who_does_not_follow_gets_the_account_s_qr_code(world: World, following: bool) -> None:
    """So that the page can show how to follow; who is bound gets none."""
    ask(world, following)
    done = recover(world)
    assert done["wechat_bound"] is following
    assert ("qr" in done) is not following
    assert following or done["qr"].startswith("data:image/svg+xml")


def test_a_repeated_confirmation_of_a_login_that_was_deleted_is_refused(world: World) -> None:
    """As if the code had expired."""
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    world.login_item().delete()
    answer = world.confirm(token, world.phones.codes[0])
    assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")


@pytest.mark.parametrize("is_done", [True, False])
def test_an_unbinding_whose_answer_is_lost_notifies_the_person(
    world: World, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """A repeat would find no binding, and the owner would never learn that it is gone."""
    recover(world)
    token = world.token()
    unbind = Bindings.unbind

    def unanswered(*args: Any, **kwargs: Any) -> None:
        if is_done:
            unbind(*args, **kwargs)
        raise Unavailable("store")

    monkeypatch.setattr(Bindings, "unbind", unanswered)
    world.phones.sent.clear()
    details = {
        "firm_no": "11010148",
        "approval_no": "京财会许可〔2012〕0084号",
        "head_name": "阿依古丽·买买提",
    }
    answer = world.call("POST", "/recovery/unbinding", details, token=token)
    assert answer.status_code == (200 if is_done else 503)
    assert [sms.template for sms in world.phones.sent] == (["wechat-unbound"] if is_done else [])
    assert (world.login_item().openid is None) is is_done
