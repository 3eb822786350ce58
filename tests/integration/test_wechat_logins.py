"""One WeChat bound to several logins: each message has its login, each code sets one password."""

from __future__ import annotations

import re

import pytest

from chalicelib.store import dynamo
from chalicelib.store.ephemeral_models import CodeItem, DestinationItem
from chalicelib.store.models import LoginItem
from tests.conftest import World, add_firm
from tests.support.callbacks import TAPPED, send_message
from tests.support.official_account import WechatWorld, code_in

MAIN, FINANCE, OTHER = "11010148", "11010148_cw", "31000001"


@pytest.fixture
def world(world: World) -> World:
    """Three logins of two firms, bound to o-alice, who follows; there is no template."""
    for login in (MAIN, FINANCE):
        LoginItem(login).update([LoginItem.openid.set("o-alice")])
    add_firm(world.service.hasher, OTHER, openid="o-alice")
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    return world


def send(world: World, *logins: str) -> dict[str, str]:
    """Send a code for each login, a minute apart; return the tokens by login."""
    tokens = {}
    for login in logins:
        world.clock.time += 60
        tokens[login] = world.token(login)
        assert world.send(tokens[login]).status_code == 202
    return tokens


def fetched(world: World, openid: str = "o-alice") -> dict[str, str]:
    """Fetch the codes by the menu item; return them by login, in the order of the reply."""
    world.clock.time += 1
    return dict(
        re.findall(
            r"账号([0-9]+(?:_cw)?)的登录密码，验证码([0-9]{6})", send_message(world, TAPPED, openid)
        )
    )


def test_the_reply_has_every_live_code_with_its_login(world: World) -> None:
    """Newest first; each code is right for its own login only."""
    tokens = send(world, MAIN, FINANCE, OTHER)
    codes = fetched(world)
    assert list(codes) == [OTHER, FINANCE, MAIN]
    if codes[FINANCE] != codes[MAIN]:
        refused = world.confirm(tokens[MAIN], codes[FINANCE])
        assert refused.json_body["code"] == "code-wrong"
    for login, code in codes.items():
        password = f"Another-horse-{len(login)}"
        assert world.confirm(tokens[login], code, password).status_code == 200
    assert fetched(world) == {}


def test_a_single_code_has_its_own_sentence(world: World) -> None:
    """With the login, the code, its end, a link to the page with this login, and a warning."""
    send(world, FINANCE)
    text = send_message(world, TAPPED)
    assert text.startswith(f"您正在找回账号{FINANCE}的登录密码，验证码")
    link = f'<a href="{world.service.enter_url}?login={FINANCE}">点此填写</a>。'
    assert text.endswith(f"前有效。{link}验证码请勿告知他人，如非本人操作请忽略。")
    assert "\n" not in text


def test_a_resent_code_replaces_its_own_login_s(world: World) -> None:
    """The code of the other login stays."""
    send(world, MAIN, FINANCE)
    before = fetched(world)
    tokens = send(world, MAIN)
    after = fetched(world)
    assert list(after) == [MAIN, FINANCE]
    assert after[FINANCE] == before[FINANCE]
    assert world.confirm(tokens[MAIN], after[MAIN], "Another-horse-8").status_code == 200


def test_only_live_codes_are_fetched(world: World) -> None:
    """Not an expired code, one without attempts left, or one bound to another WeChat."""
    send(world, OTHER)
    world.clock.time += 200
    tokens = send(world, MAIN, FINANCE)
    assert set(fetched(world)) == {MAIN, FINANCE}
    wrong = f"{(int(fetched(world)[MAIN]) + 1) % 1_000_000:06d}"
    for _ in range(5):
        world.confirm(tokens[MAIN], wrong, "Another-horse-8")
    assert set(fetched(world)) == {FINANCE}
    LoginItem(FINANCE).update([LoginItem.openid.set("o-bob")])
    assert fetched(world) == fetched(world, "o-bob") == {}


def test_a_code_of_a_rebound_login_is_not_fetched(world: World) -> None:
    """Neither by the old nor by the new WeChat."""
    send(world, MAIN)
    LoginItem(MAIN).update([LoginItem.openid.set("o-bob")])
    assert fetched(world, "o-bob") == fetched(world) == {}


def test_a_cancelled_code_is_not_fetched(world: World) -> None:
    """It is removed with its send; the one before is fetched as long as it lives."""
    tokens = send(world, MAIN)
    before = fetched(world)
    assert set(before) == {MAIN}
    send_message(world, {"MsgType": "event", "Event": "unsubscribe"})
    world.clock.time += 60
    assert world.send(tokens[MAIN]).json_body["code"] == "not-following"
    assert fetched(world) == before
    world.clock.time += 240
    assert fetched(world) == {}


def test_codes_are_read_in_several_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WeChat may be bound to more logins than one batch has."""
    monkeypatch.setattr(dynamo, "_BATCH", 3)
    send(world, MAIN, FINANCE, OTHER)
    assert len(fetched(world)) == 3


def test_a_pending_code_is_stored_sealed(world: World) -> None:
    """It is removed when the code is used."""
    token = send(world, MAIN)[MAIN]
    code = fetched(world)[MAIN]
    item = CodeItem.get(f"code#{MAIN}")
    assert item.sealed
    assert code not in str(item.to_dynamodb_dict())
    assert world.confirm(token, code, "Another-horse-8").status_code == 200
    assert CodeItem.get(f"code#{MAIN}").sealed is None
    to = DestinationItem.get(world.service.codes.destination_id("wechat", "o-alice"))
    assert to.logins == {MAIN}


def test_a_pushed_message_has_the_login(wechat_world: WechatWorld) -> None:
    """Two logins of one WeChat receive two messages; each code is right for its login only."""
    wechat_world.phone("o-alice").follow()
    for login in (MAIN, FINANCE):
        LoginItem(login).update([LoginItem.openid.set("o-alice")])
    tokens, cards = {}, {}
    for login in (MAIN, FINANCE):
        wechat_world.world.clock.time += 60
        tokens[login] = wechat_world.world.token(login)
        assert wechat_world.world.send(tokens[login]).json_body["delivery"] == "sent"
        cards[login] = wechat_world.phone("o-alice").chat[-1]
        assert cards[login].splitlines()[0] == login
    if code_in(cards[MAIN]) != code_in(cards[FINANCE]):
        wrong = wechat_world.world.confirm(tokens[MAIN], code_in(cards[FINANCE]))
        assert wrong.json_body["code"] == "code-wrong"
    for login in (MAIN, FINANCE):
        done = wechat_world.world.confirm(tokens[login], code_in(cards[login]), "Another-horse-8")
        assert done.status_code == 200
