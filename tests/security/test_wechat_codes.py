"""Attack 37: codes in the chat of a WeChat that is bound to several logins."""

from __future__ import annotations

import re

from chalicelib.services.code_issuer import CodeIssuer
from chalicelib.services.conversation import Conversation
from chalicelib.store.codes import Codes
from tests.conftest import MakeWorld, World, add_firm
from tests.security.actions import draw
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.callbacks import TAPPED, send_message

MAIN, FINANCE, OTHER = "11010148", "11010148_cw", "31000001"


def pending_codes(world: World, *logins: str) -> dict[str, tuple[str, str]]:
    """Send a code for each login; return token and fetched code by login."""
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    tokens = {}
    for login in logins:
        world.clock.time += 60
        tokens[login] = world.token(login)
        assert world.send(tokens[login]).status_code == 202
    shown = re.findall(
        r"账号([0-9]+(?:_cw)?)的登录密码，验证码([0-9]{6})", send_message(world, TAPPED)
    )
    assert {login for login, _ in shown} == set(logins)
    return {login: (tokens[login], code) for login, code in shown}


@attack(
    37,
    SourceMutation(Conversation._live_codes, "login=pending.login, code", 'login="", code'),
    Together(
        SourceMutation(Codes.consume_attempt, 'f"code#{login}"', "'code#11010148'"),
        SourceMutation(CodeIssuer.matches, "login=login", "login='11010148'"),
    ),
)
def test_each_code_of_a_wechat_has_its_login_and_is_valid_for_it_only(
    make_world: MakeWorld,
) -> None:
    """A WeChat may be bound to logins of several firms."""
    world = make_world()
    for firm_no in (MAIN, OTHER):
        add_firm(world.service.hasher, firm_no, openid="o-alice")
    draw(world, "111111", "222222", "333333")
    pending = pending_codes(world, MAIN, FINANCE, OTHER)
    assert [pending[login][1] for login in (MAIN, FINANCE, OTHER)] == ["111111", "222222", "333333"]
    for login in (FINANCE, OTHER):
        refused = world.confirm(pending[login][0], pending[MAIN][1])
        assert (refused.status_code, refused.json_body["code"]) == (400, "code-wrong")
    for login, (token, code) in pending.items():
        assert world.confirm(token, code, f"Another-horse-{len(login)}").status_code == 200
