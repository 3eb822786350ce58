"""Counts of long ago: a send of today drops them from the items that have too many."""

from __future__ import annotations

from chalicelib.domain.limits import DAY
from chalicelib.store.attributes import plain_map
from chalicelib.store.ephemeral_models import CodeItem, RequesterItem
from tests.conftest import World

LOGIN = "11010148"
TOO_MANY = 201


def test_wrong_codes_of_long_ago_are_dropped_from_the_login(world: World) -> None:
    """Also from an item without a send, and without the map of wrong codes by requester."""
    now = world.clock.time
    wrongs = CodeItem.wrongs.set([now - 2 * DAY] * TOO_MANY)
    CodeItem(f"code#{LOGIN}").update([wrongs, CodeItem.expires_at.set(now + DAY)])
    assert world.send(world.token()).status_code == 202
    item = CodeItem.get(f"code#{LOGIN}")
    assert (item.sends, item.wrongs, plain_map(item.wrong_by)) == ([now], [], {})
    assert len(world.phones.codes[0]) == 6


def test_sends_and_wrong_codes_of_long_ago_are_dropped_from_the_requester(world: World) -> None:
    """The day's limits count what is left."""
    requester = world.service.requesters.identify("o-alice", "")
    old = [world.clock.time - 2 * DAY] * TOO_MANY
    RequesterItem(f"requester#{requester.key}").update(
        [
            RequesterItem.sends.set(old),
            RequesterItem.sent_logins.set([LOGIN] * TOO_MANY),
            RequesterItem.wrongs.set(old),
            RequesterItem.expires_at.set(world.clock.time + DAY),
        ]
    )
    assert world.send(world.token()).status_code == 202
    item = RequesterItem.get(f"requester#{requester.key}")
    assert (item.sends, item.sent_logins, item.wrongs) == ([world.clock.time], [LOGIN], [])
