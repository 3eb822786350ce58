"""The yearly reset of the finance logins: its rules, on moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.services.yearly_reset import DeadLetters, Unfinished
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, LoginItem, RunItem
from chalicelib.store.reset_runs import ResetRuns
from tests.support.log_capture import Watched
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
    before = LoginItem.get("11010148").to_simple_dict()
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148").to_simple_dict() == before
    assert not list(AuditItem.query("11010148"))


def test_operators_are_notified_once(reset: ResetWorld) -> None:
    """After the last login one announcement with the counts is sent."""
    add_logins(60)
    reset.schedule()
    assert reset.announcements() == []
    reset.work()
    announcements = reset.announcements()
    assert len(announcements) == 1
    assert "共61个账号，重置61个，跳过0个，失败0个" in announcements[0]
    reset.schedule()
    reset.work()
    assert reset.announcements() == []
    assert reset.adds_up()


def test_no_secret_is_queued_announced_or_stored(
    reset: ResetWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """No message, announcement, log line or item has a password or ID digits."""
    caplog.set_level("DEBUG", logger="chalicelib")
    reset.schedule()
    messages = reset.receive()
    assert json.loads(messages[0]["Body"]) == {"year": YEAR, "chunk": "chunk#00000000"}
    reset.delete(messages, reset.invoke(messages))
    stored = [json.dumps(item.attribute_values, default=str) for item in RunItem.scan()]
    stored += [json.dumps(item.attribute_values, default=str) for item in AuditItem.scan()]
    for text in (*stored, *reset.announcements(), caplog.text):
        assert "123X" not in text
        assert "argon2" not in text


def test_the_schedule_may_fire_twice_and_late(reset: ResetWorld) -> None:
    """The year is that of the event's time in Beijing; each year has one reset."""
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
    """A year later the login has the default password again."""
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
    """It keeps its password, and the notes have the reason."""
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
    """A password recovered before the worker's write is kept."""
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


def test_a_reset_ends_a_recovery_in_progress(reset: ResetWorld) -> None:
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
    """A login deleted after the planning is not a failure."""
    reset.schedule()
    LoginItem.get("11010148_cw").delete()
    reset.work()
    assert [note.reason for note in reset.story.notes(YEAR)] == ["gone"]
    assert reset.adds_up()
    # Also where it is deleted between the worker's read and its write.
    run = reset.story.status(YEAR)
    assert run is not None
    assert reset.story._runs.reset(run, "11010148_cw", "hash", 1) == "gone"


def test_planning_continues_in_a_worker_after_its_time_out(reset: ResetWorld) -> None:
    """A function near its time-out leaves the rest of the planning to a worker."""
    add_logins(30)
    reset.schedule(context=Context(left=1))
    run = reset.story.status(YEAR)
    assert run is not None
    assert not run.planned
    assert reset.work() == 3
    assert reset.adds_up()
    assert sum(item.reset_year == YEAR for item in LoginItem.scan()) == 31


def test_an_empty_directory_ends_at_once(reset: ResetWorld) -> None:
    """A run without logins ends and is announced."""
    for item in LoginItem.scan():
        item.delete()
    reset.schedule()
    assert reset.work() == 0
    assert len(reset.announcements()) == 1


def test_failed_logins_are_retried_and_reported(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other logins are reset; the last delivery reports the failure, and a new start retries it."""
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


def test_a_chunk_stops_before_the_time_out_of_its_function(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is reset stays reset, and the message comes again, although it was its last delivery."""
    add_logins(3)
    reset.schedule()
    messages = reset.receive()
    time_left = iter([True, True, False])
    with monkeypatch.context() as slow:
        slow.setattr(ResetRuns, "reset_together", lambda *_: False)
        with pytest.raises(Unfinished):
            reset.story.process(
                json.loads(messages[0]["Body"]), last=True, has_time=lambda: next(time_left)
            )
    assert sum(item.reset_year == YEAR for item in LoginItem.scan()) == 2
    assert list(reset.story.notes(YEAR)) == []
    reset.delete(messages, {message["MessageId"] for message in messages})
    reset.work()
    assert sum(item.reset_year == YEAR for item in LoginItem.scan()) == 4
    assert reset.adds_up()


def test_a_concurrent_recovery_does_not_stop_its_chunk(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password recovered while its chunk is hashed is kept; the other logins are reset."""
    add_logins(3)
    reset.schedule()
    hasher = reset.world.service.hasher
    real = hasher.hash

    def recover_and_hash(password: str) -> str:
        item = LoginItem.get("21000001_cw")
        item.changed_at = reset.world.clock()
        item.save()
        return real(password)

    monkeypatch.setattr(hasher, "hash", recover_and_hash)
    reset.work()
    years = {item.login: item.reset_year for item in LoginItem.scan(LoginItem.login.contains("_"))}
    assert years == {
        "11010148_cw": YEAR,
        "21000000_cw": YEAR,
        "21000001_cw": None,
        "21000002_cw": YEAR,
    }
    assert [(n.login, n.reason) for n in reset.story.notes(YEAR)] == [("21000001_cw", "changed")]


def test_an_unreadable_message_does_not_fail_its_batch(reset: ResetWorld) -> None:
    """Only it is delivered again, and becomes a dead letter."""
    reset.schedule()
    messages = reset.receive()
    unreadable = {**messages[0], "MessageId": "unreadable", "Body": "not JSON"}
    assert reset.invoke([unreadable, *messages]) == {"unreadable"}
    assert LoginItem.get("11010148_cw").reset_year == YEAR


def test_a_worker_without_time_left_processes_nothing(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The messages are delivered again, to one that has time."""
    reset.schedule()
    messages = reset.receive()
    with monkeypatch.context() as late:
        late.setattr(Context, "get_remaining_time_in_millis", lambda _: 1)
        assert reset.invoke(messages) == {message["MessageId"] for message in messages}
    assert LoginItem.get("11010148_cw").reset_year is None
    assert reset.invoke(messages) == set()


def test_the_messages_of_a_run_that_was_deleted_fail(reset: ResetWorld) -> None:
    """By hand, for example; they become dead letters, and no password is set."""
    reset.schedule()
    messages = reset.receive()
    for item in RunItem.scan():
        item.delete()
    assert len(reset.invoke(messages)) == len(messages)
    assert LoginItem.get("11010148_cw").reset_year is None


def test_dead_letters_are_listed(reset: ResetWorld) -> None:
    """Chunks whose messages failed too often are listed by year."""
    reset.schedule()
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    assert reset.work() == 0
    assert reset.story.dead(YEAR) == DeadLetters(("chunk#00000000",), ())
    assert reset.story.dead(YEAR - 1) == DeadLetters((), ())


def test_a_redrive_returns_dead_letters_to_the_queue(reset: ResetWorld) -> None:
    """Each is moved once, and the run ends."""
    reset.schedule()
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    assert reset.story.redrive() == 1
    assert reset.work() == 1
    assert reset.adds_up()
    assert reset.story.dead(YEAR) == DeadLetters((), ())


def test_a_forecast_changes_nothing(reset: ResetWorld) -> None:
    """It counts the outcomes without writing."""
    add_logins(2)
    item = LoginItem.get("21000001_cw")
    item.province = None
    item.save()
    before = {item.login: item.to_simple_dict() for item in LoginItem.scan()}
    forecast = reset.story.forecast(YEAR)
    assert (forecast.logins, dict(forecast.outcomes)) == (3, {"done": 2, "no-province": 1})
    assert {item.login: item.to_simple_dict() for item in LoginItem.scan()} == before
    assert not list(RunItem.scan())
    reset.schedule()
    reset.work()
    assert dict(reset.story.forecast(YEAR).outcomes) == {"already": 2, "no-province": 1}


@pytest.mark.parametrize("year", [1999, 2029, 20270])
def test_an_implausible_year_is_refused(reset: ResetWorld, year: int) -> None:
    """A mistyped year must not mark later years as reset."""
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


CHECKED = "2026-12-31T17:00:00Z"


def test_at_one_o_clock_a_finished_run_is_in_order(reset: ResetWorld, watched: Watched) -> None:
    """The check starts nothing, and raises no alarm."""
    add_logins(30)
    reset.schedule()
    reset.work()
    before = reset.story.status(YEAR)
    reset.schedule(CHECKED)
    assert reset.story.status(YEAR) == before
    assert reset.receive() == []
    assert "Alarm alarm=reset-late" not in watched.figures()


def test_at_one_o_clock_a_run_that_did_not_begin_is_started_with_an_alarm(
    reset: ResetWorld, watched: Watched
) -> None:
    """Nobody would see that nothing happened."""
    add_logins(30)
    reset.schedule(CHECKED)
    assert watched.figures()["Alarm alarm=reset-late"] == 1
    assert "not begun" in watched.text
    reset.work()
    run = reset.story.status(YEAR)
    assert run is not None
    assert run.complete


def test_at_one_o_clock_a_run_that_did_not_end_goes_on_with_an_alarm(
    reset: ResetWorld, watched: Watched
) -> None:
    """It is resumed, and ends."""
    add_logins(30)
    reset.schedule()
    reset.schedule(CHECKED)
    assert watched.figures()["Alarm alarm=reset-late"] == 1
    assert "not ended" in watched.text
    reset.work()
    run = reset.story.status(YEAR)
    assert run is not None
    assert run.complete
