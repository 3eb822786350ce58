"""A run of the yearly reset: schedule, messages, workers, time-outs, dead letters, the check at one, on moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.services.yearly_reset import DeadLetters, Unfinished
from chalicelib.store.models import LoginItem, RunItem
from chalicelib.store.reset_runs import ResetRuns
from tests.support.log_capture import Watched
from tests.support.yearly_reset import YEAR, Context, ResetWorld, add_logins


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
