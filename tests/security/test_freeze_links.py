"""Links of WeChat notices: whom they let freeze a login."""

from __future__ import annotations

from urllib.parse import quote

from chalicelib.domain.limits import DAY
from chalicelib.security.freeze_tokens import FreezeTokens
from chalicelib.services.owner_freezing import OwnerFreezing
from chalicelib.store import freezing
from chalicelib.store.models import LoginItem
from tests.conftest import World
from tests.security.mutation import SourceMutation, attack

LOGIN = "11010148"
BY = {"actor": "staff:sun", "reason": "来电核实"}


def press(world: World, token: str) -> int:
    """Send the form of the page that a link leads to; return the status."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"token={quote(token)}".encode()
    return int(world.call("POST", "/freeze", body, headers=headers).status_code)


def is_frozen() -> bool:
    """Return whether the login is frozen."""
    return LoginItem.get(LOGIN, consistent_read=True).frozen_at is not None


@attack(
    92,
    SourceMutation(
        OwnerFreezing._permits,
        "state.openid is not None and not self._tokens.is_recipient(claims, state.openid)",
        "False",
    ),
    SourceMutation(
        OwnerFreezing._permits,
        "state.unfrozen_at is None or claims.issued_at >= state.unfrozen_at",
        "True",
    ),
    SourceMutation(freezing.unfreeze, ", LoginItem.unfrozen_at.set(now)"),
    SourceMutation(FreezeTokens.issue, "FREEZE_LIFETIME", "10**9"),
    SourceMutation(FreezeTokens.read, "self._signer.verify(_PURPOSE, token)", "[token, '', 0]"),
)
def test_a_link_freezes_for_the_bound_wechat_and_for_a_week(world: World) -> None:
    """Not for a former owner, not again after support has unfrozen, not later, not by invention."""
    tokens = FreezeTokens(world.service.signer, world.service.peppers[1])
    LoginItem(LOGIN).update([LoginItem.openid.set("o-bob")])
    of_former = tokens.issue(LOGIN, "o-alice", world.clock.time)
    of_owner = tokens.issue(LOGIN, "o-bob", world.clock.time)
    for token in (of_former, LOGIN, world.token()):
        assert press(world, token) == 410
        assert not is_frozen()
    assert world.call("GET", f"/freeze?token={quote(of_owner)}").status_code == 200
    assert not is_frozen()
    assert press(world, of_owner) == 200
    assert is_frozen()
    world.clock.time += 60
    world.service.desk.support.unfreeze(LOGIN, **BY)
    assert press(world, of_owner) == 410
    late = tokens.issue(LOGIN, "o-bob", world.clock.time)
    world.clock.time += 7 * DAY
    assert press(world, late) == 410
    assert not is_frozen()
