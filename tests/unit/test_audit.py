"""The order of a login's events, and the event of a send without an answer."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.limits import DAY
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.models import AuditItem
from tests.conftest import MakeWorld, World, add_firm

NOW = 1_800_000_000


def test_events_of_one_second_sort_as_they_were_made() -> None:
    """The keys alone order them, whatever else the events have in common."""
    keys = [audit.entry("11010148", "code-sent", NOW).at for _ in range(500)]
    shuffled = random.Random(1).sample(keys, len(keys))
    assert sorted(shuffled) == keys
    assert audit.entry("11010148", "code-sent", NOW + 1).at > keys[-1]
    assert audit.entry("11010148", "code-sent", NOW - 1).at < keys[0]


def test_events_of_threads_and_processes_have_different_keys() -> None:
    """Processes may count from the same number."""
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: audit.entry("11010148", "x", NOW).at, range(2_000)))
    assert len(set(keys)) == 2_000
    random_parts = {key.partition("-")[2][8:] for key in keys}
    assert len(random_parts) == 2_000
    assert {len(part) for part in random_parts} == {16}


def test_the_time_of_an_event_is_its_second() -> None:
    """The counter in the key does not change it."""
    for _ in range(1_500):
        assert audit.time_of(audit.entry("11010148", "x", NOW)) == NOW


def test_history_lists_the_events_of_one_second_newest_first(world: World) -> None:
    """The clock stands still: a code is sent and the password set within one second."""
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    events = world.service.diagnosis.history("11010148", 10)
    assert [event.event for event in events] == ["password-recovered", "code-sent"]


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.SENT])
def test_a_send_without_an_answer_differs_from_an_accepted_one(
    world: World, outcome: Outcome
) -> None:
    """Even where the gateway gives no reason, as with this double."""
    world.phones.outcomes = [outcome]
    assert world.send(world.token()).status_code == 202
    (send,) = AuditItem.query("11010148")
    assert send.outcome == ("unknown" if outcome is Outcome.UNKNOWN else "handed-over")
    finding = "outcome-unknown" if outcome is Outcome.UNKNOWN else "no-receipt"
    assert finding in world.service.diagnosis.overview("11010148").findings


def test_a_receipt_with_another_login_s_key_changes_nothing(make_world: MakeWorld) -> None:
    """A receipt with the key of one login's send and the name of another changes neither."""
    world = make_world(LIMIT_SENDS_PER_DESTINATION_MINUTE="5")
    add_firm(world.service.hasher)
    for login in ("11010148", "11010148_cw"):
        world.send(world.token(login))
    (main,), (finance,) = AuditItem.query("11010148"), AuditItem.query("11010148_cw")
    assert not audit.add_receipt("11010148_cw", main.at, "m", "failed", None)
    assert not audit.add_receipt("11010148", finance.at, "m", "failed", None)
    assert audit.add_receipt("11010148", main.at, "m", "failed", None)
    assert not audit.add_receipt("11010148", main.at, "other", "delivered", None)


@pytest.mark.parametrize(("setting", "days"), [({}, 400), ({"AUDIT_RETENTION_DAYS": "365"}, 365)])
def test_every_event_expires_after_the_setting_s_days(
    make_world: MakeWorld, setting: dict[str, str], days: int
) -> None:
    """Those that are written at once, those that are rolled up, and those that are settled later."""
    world = make_world(**setting)
    add_firm(world.service.hasher)
    token = world.token()
    world.send(token)
    world.confirm(token, "000000")
    world.service.desk.support.freeze("11010148", actor="arn:x", reason="r")
    (first, *_) = AuditItem.query("11010148", AuditItem.at.startswith("1"))
    audit.add_receipt("11010148", first.at, "m1", "delivered", None)
    items = list(AuditItem.scan())
    assert {item.event for item in items} == {"code-sent", "code-wrong", "frozen"}
    assert {item.expires_at for item in items} == {world.clock.time + days * DAY}


def test_a_count_that_goes_on_is_kept_from_its_last_refusal(make_world: MakeWorld) -> None:
    """The item stands for all refusals of the day."""
    world = make_world()
    add_firm(world.service.hasher)
    audit.roll_up("11010148", "limited-starts", NOW)
    audit.roll_up("11010148", "limited-starts", NOW + 60)
    (item,) = AuditItem.query("11010148")
    assert item.expires_at == NOW + 60 + 400 * DAY
