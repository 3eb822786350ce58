"""Coming back to the page by menu, message or scan: the login is known."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD
from tests.support.callbacks import TAPPED, send_message
from tests.support.official_account import (
    LINK,
    MakeWechatWorld,
    Phone,
    WechatWorld,
    code_in,
    login_of,
)
from tests.support.wechat_platform import SEND, playing
from tests.support.yearly_reset import client, interrupted

LOGIN = "11010148"


@pytest.fixture
def alice(wechat_world: WechatWorld) -> Phone:
    """A follower who is on the page inside WeChat."""
    phone = wechat_world.phone("o-alice")
    phone.follow()
    phone.browse("/wechat/enter")
    return phone


def by_menu(phone: Phone) -> str | None:
    """Open the page by the menu; return the login on it."""
    return login_of(phone.browse(phone.tap("找回密码")))


def test_the_menu_returns_to_the_recovery_with_a_code(alice: Phone) -> None:
    """The page begins again, and the start names the live code."""
    world = alice.wechat_world.world
    assert by_menu(alice) is None
    token = alice.start(LOGIN).json_body["token"]
    assert by_menu(alice) is None
    world.send(token)
    world.clock.time += 48
    assert by_menu(alice) == LOGIN
    again = alice.start(LOGIN).json_body
    assert again["sent"] == {"delivery": "sent", "expires_in": 252, "resend_in": 12}
    assert world.confirm(again["token"], world.phones.codes[0]).status_code == 200


def test_a_start_succeeds_where_the_live_code_cannot_be_read(alice: Phone) -> None:
    """It is counted by then; without `sent` the page offers to send a code."""
    world = alice.wechat_world.world
    world.send(alice.start(LOGIN).json_body["token"])

    def fault(operation: str) -> Exception | None:
        down = EndpointConnectionError(endpoint_url="https://down.example")
        return down if operation == "GetItem" else None

    with interrupted([client()], fault, after=False):
        again = alice.start(LOGIN)
    assert (again.status_code, again.json_body["sent"]) == (201, None)


def test_the_menu_returns_within_the_recovery_s_time(alice: Phone) -> None:
    """Also where the code has expired; then the page sends another one."""
    world = alice.wechat_world.world
    world.send(alice.start(LOGIN).json_body["token"])
    world.clock.time += 1_799
    assert by_menu(alice) == LOGIN
    world.clock.time += 1
    assert by_menu(alice) is None


def test_a_completed_recovery_is_not_returned_to(alice: Phone) -> None:
    world = alice.wechat_world.world
    token = alice.start(LOGIN).json_body["token"]
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert by_menu(alice) is None


def test_the_recovery_of_another_wechat_is_not_returned_to(alice: Phone) -> None:
    """Nor the visitor's own one whose code another WeChat has replaced."""
    world = alice.wechat_world.world
    bob = alice.wechat_world.phone("o-bob")
    bob.follow()
    bob.browse("/wechat/enter")
    world.send(alice.start(LOGIN).json_body["token"])
    assert by_menu(bob) is None
    world.clock.time += 60
    world.send(bob.start(LOGIN).json_body["token"])
    assert by_menu(bob) == LOGIN
    assert by_menu(alice) is None


def test_the_code_in_the_chat_leads_back(make_wechat_world: MakeWechatWorld) -> None:
    """The link has the login, and the code is still found in the text."""
    wechat_world = make_wechat_world(template=False)
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    alice = wechat_world.phone("o-alice")
    alice.follow()
    world = wechat_world.world
    token = world.token()
    assert world.send(token).json_body["delivery"] == "pull"
    said = send_message(world, TAPPED)
    link = LINK.search(said)
    assert link is not None
    assert link[1] == f"https://recovery.example/wechat/enter?login={LOGIN}"
    assert login_of(alice.browse(link[1])) == LOGIN
    assert world.confirm(token, code_in(said), PASSWORD).status_code == 200


def test_the_template_s_link_has_the_login(make_wechat_world: MakeWechatWorld) -> None:
    with playing() as wechat:
        wechat.answers[SEND] = [{"errcode": 0, "msgid": 7}]
        wechat_world = make_wechat_world()
        wechat_world.world.service.platform._api_url = wechat.url
        LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
        wechat_world.world.send(wechat_world.world.token())
        [sent] = wechat.asked(SEND)
    url = json.loads(sent.body)["url"]
    assert url == f"https://recovery.example/wechat/enter?login={LOGIN}"


@pytest.mark.parametrize("text", ["x", "1101014", "11010148%26entry%3Dx", "%3Cb%3E"])
def test_a_text_that_is_no_login_is_ignored(alice: Phone, text: str) -> None:
    """The address of the page contains a login or none."""
    page = alice.browse(f"/wechat/enter?login={text}")
    assert page == "https://recovery.example/"
