"""`yearly-reset`: the start, the status and the dry run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.messaging import queue
from chalicelib.store import reset_runs
from chalicelib.store.models import LoginItem
from infra.ops import yearly_reset as command
from infra.ops.command import Failed
from tests.browser.stack import made_up, running
from tests.support.ops_runner import REASON, Run
from tests.support.waiting import wait_until
from tests.support.yearly_reset import YEAR, Context, ResetWorld

TIMEOUT = 600
"""Seconds; the command needs two alone, and waits for the queue's retries on a busy machine."""


@pytest.fixture
def run(
    reset: ResetWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run `yearly-reset` on a terminal of 120 columns."""
    return Run(capsys, monkeypatch, "yearly-reset", columns=120)


def test_it_starts_the_run_and_names_the_operator(run: Run, reset: ResetWorld) -> None:
    """The logins are planned, and the run has the caller's identity."""
    status, out, _ = run("--year", str(YEAR), *REASON, "--json")
    facts = json.loads(out)
    assert status == 0
    assert (facts["state"], facts["logins"], facts["done"]) == ("working", 1, 0)
    assert facts["started_by"].startswith("arn:aws")
    reset.work()
    status, out, _ = run("--status", str(YEAR))
    assert status == 0
    for text in ("2027", "已结束", "已重置", "arn:aws"):
        assert text in out


def test_waiting_ends_with_the_run(
    run: Run, reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--wait` polls until every login is accounted for."""
    monkeypatch.setattr(command, "PAUSE", 0)
    looked: list[int] = []
    status_of = reset.story.status

    def look(year: int) -> Any:
        looked.append(year)
        if len(looked) == 3:
            reset.work()
        return status_of(year)

    monkeypatch.setattr(reset.story, "status", look)
    status, out, _ = run("--year", str(YEAR), *REASON, "--wait", "--json")
    assert status == 0
    assert json.loads(out)["state"] == "done"
    assert len(looked) > 3


def test_a_run_that_is_still_planned_has_its_own_state(run: Run, reset: ResetWorld) -> None:
    """The number of logins is not yet known; waiting for a run that was deleted ends."""
    reset.schedule(context=Context(left=1))
    assert run("--status", str(YEAR), "--json").json["state"] == "planning"
    command.follow(reset.story, YEAR - 1, sleep=lambda _: None)


def test_waiting_ends_without_progress(reset: ResetWorld) -> None:
    """A queue without a worker is reported."""
    reset.schedule()
    times = iter(range(0, 100_000, 600))
    with pytest.raises(Failed, match="半小时没有进展"):
        command.follow(reset.story, YEAR, sleep=lambda _: None, clock=lambda: next(times))


def test_waiting_outlasts_a_busy_store(reset: ResetWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run continues meanwhile; waiting ends after half an hour without an answer."""
    reset.schedule()
    status, answers = reset.story.status, iter([False, False, True])

    def sometimes(year: int) -> reset_runs.Run | None:
        if not next(answers, True):
            raise Unavailable("store")
        return status(year)

    monkeypatch.setattr(reset.story, "status", sometimes)
    command.follow(reset.story, YEAR, sleep=lambda _: reset.work(), clock=lambda: 0)
    assert reset.adds_up()
    monkeypatch.setattr(reset.story, "status", Mock(side_effect=Unavailable("store")))
    times = iter(range(0, 100_000, 600))
    with pytest.raises(Unavailable):
        command.follow(reset.story, YEAR, sleep=lambda _: None, clock=lambda: next(times))


def test_a_dry_run_changes_nothing(run: Run) -> None:
    """It shows what would happen."""
    status, out, _ = run("--year", str(YEAR), "--dry-run")
    assert status == 0
    assert "将涉及 1 个财务上报账号" in out
    status, out, _ = run("--year", str(YEAR), "--dry-run", "--json")
    assert json.loads(out) == {"year": YEAR, "logins": 1, "outcomes": {"done": 1}}
    status, _, err = run("--status", str(YEAR))
    assert status == 1
    assert "没有2027年度的重置" in err


def test_skipped_and_failed_logins_are_listed(run: Run, reset: ResetWorld) -> None:
    """Each with its reason, as text and as JSON; skipped logins are no failure."""
    item = LoginItem.get("11010148_cw")
    item.head_id_last4 = None
    item.save()
    run("--year", str(YEAR), *REASON)
    reset.work()
    status, out, _ = run("--status", str(YEAR))
    assert status == 0
    assert "11010148_cw" in out
    assert "没有登记身份证号后四位" in out
    _, out, _ = run("--status", str(YEAR), "--json")
    assert json.loads(out)["notes"] == [
        {"login": "11010148_cw", "outcome": "skipped", "reason": "no-id-digits"}
    ]


def test_dead_letters_fail_the_command_until_they_are_redriven(run: Run, reset: ResetWorld) -> None:
    """The status names them and the remedy, which is `--redrive`."""
    run("--year", str(YEAR), *REASON)
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    status, out, _ = run("--status", str(YEAR))
    assert status == 1
    assert "chunk#00000000" in out
    assert "--redrive" in out


FOREIGN = (
    "hello",
    "[]",
    "null",
    "17",
    "[" * 20_000,
    "{}",
    '{"year": "2027"}',
    '{"year": true}',
    '{"year": 2027, "chunk": 7}',
    '{"year": 2027, "Records": []}',
    '{"year": 2027, "event": "other"}',
)


def test_foreign_dead_letters_are_listed_and_passed_over(run: Run, reset: ResetWorld) -> None:
    """Each is named as unreadable, and a redrive moves ours alone."""
    run("--year", str(YEAR), *REASON)
    messages = reset.receive()
    for body in (*FOREIGN, messages[0]["Body"], *FOREIGN):
        reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=body)
    reset.delete(messages, set())
    ran = run("--status", str(YEAR), "--json")
    assert (ran.status, ran.json["dead_letters"]) == (1, ["chunk#00000000"])
    assert len(ran.json["unreadable_letters"]) == 2 * len(FOREIGN)
    out = run("--status", str(YEAR)).out
    assert all(letter in out for letter in ran.json["unreadable_letters"])
    assert "无法识别的死信不是年度重置的消息" in out
    again = run("--year", str(YEAR), *REASON, "--redrive", "--json")
    assert (again.status, again.json["dead_letters"]) == (0, [])
    assert len(again.json["unreadable_letters"]) == 2 * len(FOREIGN)
    reset.work()
    assert run("--status", str(YEAR)).status == 0
    assert reset.adds_up()


class Shards:
    """An SQS client whose answers are sometimes empty although there are letters."""

    def __init__(self, client: Any, empty: int) -> None:
        """`empty` answers are empty before each one that is not."""
        self._client = client
        self._empty = self._before = empty
        self.waits: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def receive_message(self, **arguments: Any) -> Any:
        """Answer like one of many servers."""
        self.waits.add(arguments["WaitTimeSeconds"])
        if self._before:
            self._before -= 1
            return {}
        self._before = self._empty
        return self._client.receive_message(**{**arguments, "MaxNumberOfMessages": 1})


def test_the_look_at_dead_letters_outlasts_empty_answers(
    run: Run, reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It polls long, until several consecutive answers are empty; a second look sees the same."""
    run("--year", str(YEAR), *REASON)
    for number in range(5):
        body = json.dumps({"year": YEAR, "chunk": f"chunk#{number:08d}"})
        reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=body)
    monkeypatch.setattr(queue, "WAIT_SECONDS", 1)
    shards = Shards(reset.sqs, queue.EMPTY_ANSWERS - 1)
    monkeypatch.setattr(reset.story._queue, "_made", shards)
    for _ in range(2):
        assert len(run("--status", str(YEAR), "--json").json["dead_letters"]) == 5
    assert shards.waits == {1}
    assert reset.story.redrive() == 5
    assert len(reset.receive()) == 6


@pytest.mark.parametrize(
    "options",
    [(), ("--year", "2027", "--status", "2027"), ("--status", "2027", "--wait"), ("--year", "x")],
)
def test_contradictory_options_are_refused(run: Run, options: tuple[str, ...]) -> None:
    """Nothing is started."""
    status, _, err = run(*options)
    assert status == 2
    assert "--help" in err


def test_a_run_on_the_local_stack_sets_the_passwords(tmp_path: Path) -> None:
    """The stack's poller works the queue, and the command waits."""
    # Few firms: their passwords are hashed in a process that shares the machine with other tests.
    firms = made_up(3)
    with running(tmp_path, firms) as local_stack:
        # A password of the very second in which the run starts counts as newer and stays.
        enrolled = int(time.time())
        wait_until(lambda: int(time.time()) > enrolled)
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": local_stack.aws_url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "infra.ops",
                "yearly-reset",
                "--year",
                "2026",
                "--yes",
                "--reason",
                "演练",
                "--wait",
                "--json",
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert ran.returncode == 0, (
            ran.stdout + ran.stderr + (tmp_path / "stack.log").read_text()[-1500:]
        )
        facts = json.loads(ran.stdout)
        assert facts["state"] == "done", facts
        assert facts["done"] == facts["logins"] == len(firms), facts
        assert (facts["failed"], facts["skipped"], facts["notes"]) == (0, 0, [])
