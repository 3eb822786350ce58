"""The yearly reset of the finance logins: its rules, on moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.store.models import AuditItem, CodeItem, LoginItem, RunItem
from chalicelib.store.reset_runs import ResetRuns
from tests.support.yearly_reset import (
    SCHEDULED,
    YEAR,
    Context,
    ResetWorld,
    add_logins,
)

DEFAULT = "010123X"


def test_a_finance_login_gets_its_default_password_of_the_year(reset: ResetWorld) -> None:
    """登录账号为会计师事务所编号+_cw时，默认密码由系统每年财务上报时进行重置。

    重置后的初始密码为会计师事务所所在省会（直辖市）固话区号+主任会计师（分所负责人）身份证号后四位。
    """
    reset.schedule()
    assert reset.work() == 1
    item = LoginItem.get("11010148_cw")
    assert reset.world.service.hasher.verify(item.password_hash, DEFAULT)
    assert (item.must_change, item.reset_year, item.password_version) == (True, YEAR, 2)
    assert item.changed_at == reset.world.clock()
    event = next(iter(AuditItem.query("11010148_cw")))
    assert (event.event, event.actor, event.outcome) == ("yearly-reset", "yearly-reset", "2027")


def test_the_main_login_is_never_touched(reset: ResetWorld) -> None:
    """登录账号为会计师事务所编号时登录密码为会计师事务所入会申请时自行设置的开户密码。"""
    before = LoginItem.get("11010148").attribute_values
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148").attribute_values == before
    assert not list(AuditItem.query("11010148"))


def test_operators_are_told_once(reset: ResetWorld) -> None:
    """When the last login is accounted for, one message with numbers goes out, and no more."""
    add_logins(60)
    reset.schedule()
    assert reset.announcements() == []
    reset.work()
    told = reset.announcements()
    assert len(told) == 1
    assert "共61个账号，重置61个，跳过0个，失败0个" in told[0]
    reset.schedule()
    reset.work()
    assert reset.announcements() == []
    assert reset.adds_up()


def test_nothing_secret_is_queued_told_or_kept(
    reset: ResetWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a password nor the ID digits stand in a message, the report, the log or an item."""
    caplog.set_level("DEBUG", logger="chalicelib")
    reset.schedule()
    messages = reset.receive()
    assert json.loads(messages[0]["Body"]) == {"year": YEAR, "chunk": "chunk#00000000"}
    reset.delete(messages, reset.invoke(messages))
    kept = [json.dumps(item.attribute_values, default=str) for item in RunItem.scan()]
    kept += [json.dumps(item.attribute_values, default=str) for item in AuditItem.scan()]
    for text in (*kept, *reset.announcements(), caplog.text):
        assert "123X" not in text
        assert "argon2" not in text


def test_the_schedule_may_fire_twice_and_late(reset: ResetWorld) -> None:
    """The year is that of the event's time in Beijing, whenever it arrives; one year, one reset."""
    reset.schedule()
    reset.schedule()
    reset.work()
    first = LoginItem.get("11010148_cw").password_hash
    reset.world.clock.time += 3 * 86_400
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148_cw").password_hash == first
    assert [item.year for item in RunItem.scan(RunItem.part == "run")] == ["2027"]


def test_the_next_year_resets_again(reset: ResetWorld) -> None:
    """A year later the same login gets the default password once more."""
    reset.schedule()
    reset.work()
    first = LoginItem.get("11010148_cw").password_hash
    reset.world.clock.time += 365 * 86_400
    reset.schedule("2027-12-31T16:00:00Z")
    reset.work()
    item = LoginItem.get("11010148_cw")
    assert item.password_hash != first
    assert item.reset_year == YEAR + 1


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("province", "no-province"), ("head_id_last4", "no-id-digits")],
)
def test_a_login_without_its_parts_is_skipped(reset: ResetWorld, missing: str, reason: str) -> None:
    """It keeps its password, and the report says why."""
    item = LoginItem.get("11010148_cw")
    setattr(item, missing, None)
    item.save()
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148_cw").password_version == 1
    assert [(n.login, n.outcome, n.reason) for n in reset.story.notes(YEAR)] == [
        ("11010148_cw", "skipped", reason)
    ]
    assert reset.adds_up()


def test_a_password_recovered_during_the_run_stays(reset: ResetWorld) -> None:
    """A person who was faster than the worker keeps the password that they chose."""
    reset.schedule()
    world = reset.world
    token = world.token("11010148_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    reset.work()
    item = LoginItem.get("11010148_cw")
    assert world.service.hasher.verify(item.password_hash, "Correct-horse-7")
    assert not item.must_change
    assert [note.reason for note in reset.story.notes(YEAR)] == ["changed"]


def test_a_recovery_under_way_ends_with_the_reset(reset: ResetWorld) -> None:
    """A code sent before the reset sets no password after it; a new recovery does."""
    world = reset.world
    token = world.token("11010148_cw")
    world.send(token)
    reset.schedule()
    reset.work()
    late = world.confirm(token, world.phones.codes[0])
    assert late.status_code in (401, 410)
    assert CodeItem.get("code#11010148_cw").digest is None
    world.clock.time += 60
    token = world.token("11010148_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[1]).status_code == 200
    assert not LoginItem.get("11010148_cw").must_change


def test_a_login_that_vanished_is_skipped(reset: ResetWorld) -> None:
    """A firm taken out of the tables after the planning is nobody's failure."""
    reset.schedule()
    LoginItem.get("11010148_cw").delete()
    reset.work()
    assert [note.reason for note in reset.story.notes(YEAR)] == ["gone"]
    assert reset.adds_up()


def test_planning_is_handed_on_when_its_time_is_up(reset: ResetWorld) -> None:
    """A function that is about to be ended leaves the rest of the planning to a worker."""
    add_logins(30)
    reset.schedule(context=Context(left=1))
    run = reset.story.status(YEAR)
    assert run is not None
    assert not run.planned
    assert reset.work() == 3
    assert reset.adds_up()
    assert sum(item.reset_year == YEAR for item in LoginItem.scan()) == 31


def test_an_empty_directory_ends_at_once(reset: ResetWorld) -> None:
    """A run without a login is a run that has ended, and is told."""
    for item in LoginItem.scan():
        item.delete()
    reset.schedule()
    assert reset.work() == 0
    assert len(reset.announcements()) == 1


def test_failures_come_again_and_are_reported_in_the_end(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that fails keeps nobody else; on the last delivery it is reported, and a start mends it."""
    add_logins(3)
    real = ResetRuns.reset

    def fail(self: ResetRuns, run: Any, login: str, *rest: Any) -> Any:
        if login == "21000001_cw":
            raise RuntimeError("broken")
        return real(self, run, login, *rest)

    monkeypatch.setattr(ResetRuns, "reset", fail)
    monkeypatch.setattr(ResetRuns, "reset_together", lambda *_: False)
    reset.schedule()
    messages = reset.receive()
    assert reset.invoke(messages, receives=1) == {messages[0]["MessageId"]}
    assert LoginItem.get("21000002_cw").reset_year == YEAR
    assert reset.invoke(messages, receives=5) == set()
    reset.delete(messages, set())
    assert [(n.login, n.outcome, n.reason) for n in reset.story.notes(YEAR)] == [
        ("21000001_cw", "failed", "RuntimeError")
    ]
    assert "失败1个" in reset.announcements()[0]
    monkeypatch.undo()
    reset.schedule()
    reset.work()
    run = reset.story.status(YEAR)
    assert run is not None
    assert (run.done, run.failed) == (4, 0)
    assert reset.adds_up()
    assert "失败0个" in reset.announcements()[0]


def test_one_that_stands_in_the_way_keeps_nobody_else(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who recovers while their chunk is being hashed keeps theirs; the others get theirs."""
    add_logins(3)
    reset.schedule()
    hasher = reset.world.service.hasher
    real = hasher.hash

    def slow(password: str) -> str:
        item = LoginItem.get("21000001_cw")
        item.changed_at = reset.world.clock()
        item.save()
        return real(password)

    monkeypatch.setattr(hasher, "hash", slow)
    reset.work()
    years = {item.login: item.reset_year for item in LoginItem.scan(LoginItem.login.contains("_"))}
    assert years == {
        "11010148_cw": YEAR,
        "21000000_cw": YEAR,
        "21000001_cw": None,
        "21000002_cw": YEAR,
    }
    assert [(n.login, n.reason) for n in reset.story.notes(YEAR)] == [("21000001_cw", "changed")]


def test_a_bad_message_leaves_its_batch_alone(reset: ResetWorld) -> None:
    """What cannot be read comes again by itself, and ends as a dead letter."""
    reset.schedule()
    messages = reset.receive()
    bad = {**messages[0], "MessageId": "bad", "Body": "not JSON"}
    assert reset.invoke([bad, *messages]) == {"bad"}
    assert LoginItem.get("11010148_cw").reset_year == YEAR


def test_dead_letters_are_named_and_go_back(reset: ResetWorld) -> None:
    """What failed too often stands in the status, and can be put into the queue again."""
    reset.schedule()
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    assert reset.work() == 0
    assert reset.story.dead(YEAR) == ["chunk#00000000"]
    assert reset.story.dead(YEAR - 1) == []


def test_a_redrive_works_the_dead_letters(reset: ResetWorld) -> None:
    """Each goes back once, and the run ends by it."""
    reset.schedule()
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    assert reset.story.redrive() == 1
    assert reset.work() == 1
    assert reset.adds_up()
    assert reset.story.dead(YEAR) == []


def test_a_forecast_changes_nothing(reset: ResetWorld) -> None:
    """It counts what would happen, login by login, and writes nothing."""
    add_logins(2)
    item = LoginItem.get("21000001_cw")
    item.province = None
    item.save()
    before = {item.login: item.attribute_values for item in LoginItem.scan()}
    forecast = reset.story.forecast(YEAR)
    assert (forecast.logins, dict(forecast.outcomes)) == (3, {"done": 2, "no-province": 1})
    assert {item.login: item.attribute_values for item in LoginItem.scan()} == before
    assert not list(RunItem.scan())
    reset.schedule()
    reset.work()
    assert dict(reset.story.forecast(YEAR).outcomes) == {"already": 2, "no-province": 1}


@pytest.mark.parametrize("year", [1999, 2029, 20270])
def test_a_year_that_cannot_be_meant_is_refused(reset: ResetWorld, year: int) -> None:
    """A slip of the finger must not use up the years to come."""
    with pytest.raises(InvalidInput):
        reset.story.start(year, "local")
    assert not list(RunItem.scan())


def test_a_branch_uses_its_own_head(reset: ResetWorld) -> None:
    """分所负责人: the digits are those of the branch's own record, and the override table wins."""
    LoginItem(
        "110101480001_cw",
        firm_no="110101480001",
        province="65",
        head_id_last4="876x",
        password_version=1,
        changed_at=1,
    ).save()
    reset.schedule(SCHEDULED)
    reset.work()
    stored = LoginItem.get("110101480001_cw").password_hash
    assert reset.world.service.hasher.verify(stored, "0991876X")
