"""Canaries in WeChat's calls: login, binding, a pushed code and a fetched one."""

from __future__ import annotations

import pytest
from werkzeug.wrappers import Request, Response

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
from tests.support.official_account import Phone, WechatWorld, code_in

pytestmark = pytest.mark.usefixtures("canary_keys")

ENTER = f"{SETTINGS['SITE_URL']}/wechat/enter"


def _record_secrets(wechat_world: WechatWorld) -> set[str]:
    """Return a set to which the codes, states and tokens of each request to WeChat are added."""
    canaries: set[str] = set()
    answer = wechat_world.wechat.answer

    def recording(request: Request) -> Response:
        query = request.args
        canaries.update(query[name] for name in ("access_token", "code", "state") if name in query)
        return answer(request)

    wechat_world.wechat.answer = recording  # type: ignore[method-assign]
    return canaries


def _recover(phone: Phone, *, pull: bool) -> set[str]:
    """Recover the password by a code from WeChat, after a wrong one; return token and code."""
    world = phone.wechat_world.world
    token = str(phone.start("11010148").json_body["token"])
    answer = world.send(token)
    assert answer.json_body["delivery"] == ("pull" if pull else "sent")
    code = code_in(phone.tap("获取验证码") if pull else phone.chat[-1])
    world.confirm(token, "111111", PASSWORD)
    assert world.confirm(token, code, PASSWORD).status_code == 200
    world.clock.time += 61
    return {token, code}


def _use_canaries(wechat_world: WechatWorld) -> set[str]:
    """Pass every canary through the service and WeChat; return those that nothing may show."""
    recorded = _record_secrets(wechat_world)
    phone = wechat_world.phone(OPENID)
    phone.follow()
    phone.browse(f"{ENTER}?scene={OPENID}")
    LoginItem("11010148").update([LoginItem.openid.set(OPENID)])
    used = _recover(phone, pull=False)
    used |= set(phone.cookies.values())
    world = wechat_world.world
    phone.call("GET", f"/wechat/enter?code={PASSWORD}&state={OPENID}")
    post(world, signed(world, {"MsgType": "text", "MsgId": 7, "Content": PASSWORD}, OPENID))
    phone.leave()
    refused = world.send(str(phone.start("11010148").json_body["token"]))
    assert refused.json_body["code"] == "not-following"
    assert len(recorded) >= 3
    return {PASSWORD, PHONE, OPENID, *used, *recorded}


def _fail(wechat_world: WechatWorld, monkeypatch: pytest.MonkeyPatch, canaries: set[str]) -> None:
    """Make WeChat's client and the store fail with errors that quote all canaries."""
    world, fail = wechat_world.world, quoting(*canaries - {PASSWORD})
    phone = wechat_world.phone(OPENID)
    phone.follow()
    for name in ("exchange", "send_template"):
        monkeypatch.setattr(world.service.platform, name, fail)
    monkeypatch.setattr(MessageDedup, "first_answer", fail)
    with pytest.raises(AssertionError):
        phone.browse(ENTER)
    world.send(str(phone.start("11010148").json_body["token"]))
    post(world, signed(world, TAPPED, OPENID))


def test_the_log_shows_no_canary_of_wechat(
    wechat_world: WechatWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No OAuth code, access token, openid, cookie, code, AppSecret or key of the callback."""
    canaries = _use_canaries(wechat_world)
    refused = refusals(wechat_world.world)
    _fail(wechat_world, monkeypatch, canaries)
    assert sum("cannot do it" in line for line in watched.log.getvalue().splitlines()) == 3
    nothing_leaked(watched.text, canaries)
    assert refused
    nothing_leaked("\n".join(refused), canaries)


def test_without_masking_the_log_shows_the_canaries_of_wechat(
    wechat_world: WechatWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run shows every one of them where nothing is masked."""
    unmasked(monkeypatch)
    canaries = _use_canaries(wechat_world)
    _fail(wechat_world, monkeypatch, canaries)
    assert shown(watched.text, canaries | SECRETS) >= (canaries - {PASSWORD}) | SECRETS


def test_the_log_shows_no_fetched_code(pulling_wechat_world: WechatWorld, watched: Watched) -> None:
    """Only the menu's reply has the code."""
    wechat_world = pulling_wechat_world
    LoginItem("11010148").update([LoginItem.openid.set(OPENID)])
    phone = wechat_world.phone(OPENID)
    phone.follow()
    phone.browse(ENTER)
    canaries = _recover(phone, pull=True)
    assert watched.figures()["RecoveryCompleted"] == 1
    nothing_leaked(watched.text, {OPENID, PASSWORD, PHONE, *canaries})
