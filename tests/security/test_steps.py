"""Attack 15: steps of a recovery that are skipped, or repeated after the last one."""

from __future__ import annotations

from chalicelib.services.recovery import Recovery
from chalicelib.store import code_updates
from tests.conftest import World
from tests.security.actions import DETAILS, draw, guess, version
from tests.security.mutation import SourceMutation, Together, attack


@attack(
    15,
    Together(
        SourceMutation(Recovery.complete, 'if claims.method == "follow":', "if False:"),
        SourceMutation(
            Recovery._set_password, 'if attempt.method == "sms" and visitor is None:', "if False:"
        ),
    ),
)
def test_no_step_can_be_skipped(world: World) -> None:
    """No code without a start, no password without a code; a PC neither receives nor uses a code."""
    draw(world, "100001")
    for step in ("code", "password", "unbinding"):
        assert world.call("POST", f"/recovery/{step}", {}, token=None).status_code == 401
    phone, pc = world.token(), world.token(openid=None)
    assert guess(world, phone, "100001") == "code-expired"
    assert world.send(pc).status_code == 422
    assert world.call("POST", "/recovery/unbinding", DETAILS, token=phone).status_code == 401
    assert not world.phones.sent
    world.send(phone)
    guess(world, pc, "100001")
    assert version() == 1
    assert guess(world, phone, "100001") == "right"


@attack(
    15,
    SourceMutation(code_updates.check_login, "login_unchanged(method)", "LoginItem.login.exists()"),
)
def test_no_step_can_be_repeated_after_the_last(world: World) -> None:
    """The new password ends every earlier recovery: no code, no unbinding, no password."""
    draw(world, "100001")
    used, open_still = world.token(), world.token(openid="o-mallory")
    world.send(used)
    assert guess(world, used, "100001") == "right"
    world.clock.time += 61
    for token in (used, open_still):
        assert world.send(token).status_code == 401
        assert world.call("POST", "/recovery/unbinding", DETAILS, token=token).status_code == 401
        assert world.confirm(token, "100001", "Another-horse-8").status_code == 410
    assert (version(), world.login_item().openid) == (2, "o-alice")
