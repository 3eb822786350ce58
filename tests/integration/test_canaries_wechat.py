"""Canaries go through WeChat: entering, binding, a code that is pushed and one that is fetched."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.message_dedup import MessageDedup
from chalicelib.store.models import LoginItem
from tests.conftest import SETTINGS
from tests.support.callbacks import TAPPED, post, signed
from tests.support.canaries import (
    OPENID,
    PASSWORD,
    PHONE,
    SECRETS,
    nothing_leaked,
    quoting,
    refusals,
    shown,
    unmasked,
)
from tests.support.log_capture import Watched
from tests.support.official_account import Phone, Town, code_in

pytestmark = pytest.mark.usefixtures("canary_keys")

ENTER = f"{SETTINGS['SITE_URL']}/wechat/enter"


def _overheard(town: Town) -> set[str]:
    """The OAuth codes, access tokens and openids of what WeChat is asked for from now on."""
    heard: set[str] = set()
    answer = town.wechat.answer

    def listening(call: Any) -> Any:
        query = dict(call.query)
        heard.update(query[name] for name in ("access_token", "code", "state") if name in query)
        return answer(call)

    town.wechat.answer = listening  # type: ignore[method-assign,assignment]
    return heard


def _recovered(phone: Phone, *, pull: bool) -> set[str]:
    """Recover the password with a code that comes by WeChat, after a wrong one; token and code."""
    world = phone.town.world
    token = str(phone.start("11010148").json_body["token"])
    answer = world.send(token)
    assert answer.json_body["delivery"] == ("pull" if pull else "sent")
    code = code_in(phone.tap("获取验证码") if pull else phone.chat[-1])
    world.confirm(token, "111111", PASSWORD)
    assert world.confirm(token, code, PASSWORD).status_code == 200
    world.clock.time += 61
    return {token, code}


def _told(town: Town) -> set[str]:
    """Tell the service, and WeChat, every canary; what must stand nowhere."""
    overheard = _overheard(town)
    phone = town.phone(OPENID)
    phone.follow()
    phone.browse(f"{ENTER}?scene={OPENID}")
    LoginItem("11010148").update([LoginItem.openid.set(OPENID)])
    given = _recovered(phone, pull=False)
    given |= set(phone.cookies.values())
    world = town.world
    phone.call("GET", f"/wechat/enter?code={PASSWORD}&state={OPENID}")
    post(world, signed(world, {"MsgType": "text", "MsgId": 7, "Content": PASSWORD}, OPENID))
    phone.leave()
    refused = world.send(str(phone.start("11010148").json_body["token"]))
    assert refused.json_body["code"] == "not-following"
    assert len(overheard) >= 3
    return {PASSWORD, PHONE, OPENID, *given, *overheard}


def _fail(town: Town, monkeypatch: pytest.MonkeyPatch, canaries: set[str]) -> None:
    """Let WeChat's client and the store quote all that they were ever given, and fail."""
    world, fail = town.world, quoting(*canaries - {PASSWORD})
    phone = town.phone(OPENID)
    phone.follow()
    for name in ("exchange", "send_template"):
        monkeypatch.setattr(world.service.platform, name, fail)
    monkeypatch.setattr(MessageDedup, "first_answer", fail)
    with pytest.raises(AssertionError):
        phone.browse(ENTER)
    world.send(str(phone.start("11010148").json_body["token"]))
    post(world, signed(world, TAPPED, OPENID))


def test_no_canary_is_in_a_line(
    town: Town, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OAuth codes, access tokens, openids, cookies, codes, the AppSecret and the callback's keys."""
    canaries = _told(town)
    refused = refusals(town.world)
    _fail(town, monkeypatch, canaries)
    assert sum("cannot do it" in line for line in watched.log.getvalue().splitlines()) == 3
    nothing_leaked(watched.text, canaries)
    assert refused
    nothing_leaked("\n".join(refused), canaries)


def test_without_masking_they_would_be(
    town: Town, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run finds every one of them where nothing is hidden."""
    unmasked(monkeypatch)
    canaries = _told(town)
    _fail(town, monkeypatch, canaries)
    assert shown(watched.text, canaries | SECRETS) >= (canaries - {PASSWORD}) | SECRETS


def test_a_code_that_is_fetched_is_in_no_line(pulling_town: Town, watched: Watched) -> None:
    """The menu's reply has it, and nothing that is written."""
    town = pulling_town
    LoginItem("11010148").update([LoginItem.openid.set(OPENID)])
    phone = town.phone(OPENID)
    phone.follow()
    phone.browse(ENTER)
    canaries = _recovered(phone, pull=True)
    assert watched.figures()["RecoveryCompleted"] == 1
    nothing_leaked(watched.text, {OPENID, PASSWORD, PHONE, *canaries})
