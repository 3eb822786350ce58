"""`yearly-reset`: the start, the status and the dry run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.store import reset_runs
from chalicelib.store.models import LoginItem
from infra.ops import yearly_reset as command
from infra.ops.command import Failed
from tests.browser.stack import made_up, running
from tests.support.ops_runner import Run
from tests.support.yearly_reset import YEAR, ResetWorld

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
    status, out, _ = run("--year", str(YEAR), "--json")
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
    status, out, _ = run("--year", str(YEAR), "--wait", "--json")
    assert status == 0
    assert json.loads(out)["state"] == "done"
    assert len(looked) > 3


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
    run("--year", str(YEAR))
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
    run("--year", str(YEAR))
    messages = reset.receive()
    reset.sqs.send_message(QueueUrl=reset.dead, MessageBody=messages[0]["Body"])
    reset.delete(messages, set())
    status, out, _ = run("--status", str(YEAR))
    assert status == 1
    assert "chunk#00000000" in out
    assert "--redrive" in out


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
        assert facts["state"] == "done"
        assert facts["done"] == facts["logins"] == len(firms)
        assert (facts["failed"], facts["skipped"], facts["notes"]) == (0, 0, [])
