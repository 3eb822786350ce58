"""The operators' command that starts the yearly reset outside the first week of its year."""

from __future__ import annotations

import json

import pytest

from chalicelib.store.models import LoginItem, RunItem
from tests.support.log_capture import Watched
from tests.support.ops_runner import REASON, Run, Type
from tests.support.yearly_reset import MIDNIGHT, YEAR, ResetWorld


@pytest.fixture
def run(
    reset: ResetWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run `yearly-reset` on a terminal of 120 columns."""
    return Run(capsys, monkeypatch, "yearly-reset", columns=120)


NOVEMBER = 1_795_968_000
"""2026-11-30 00:00 in Beijing."""
WEEK = 7 * 86_400


@pytest.fixture
def november(reset: ResetWorld) -> ResetWorld:
    """The world on 30 November before the year."""
    reset.world.clock.time = NOVEMBER
    return reset


def nothing_began(reset: ResetWorld) -> bool:
    """Whether there is no run and no message."""
    return RunItem.count() == 0 and reset.receive() == []


def test_a_start_requires_a_reason(run: Run, reset: ResetWorld) -> None:
    """Without one nothing is started."""
    status, out, err = run("--year", str(YEAR), "--yes")
    assert (status, out) == (2, "")
    assert "缺少--reason" in err
    assert run("--year", str(YEAR), "--yes", "--reason", " ").status == 1
    assert nothing_began(reset)


@pytest.mark.parametrize(
    "at", [NOVEMBER, MIDNIGHT - 6, MIDNIGHT - 5 + WEEK, MIDNIGHT + 90 * 86_400]
)
def test_outside_its_first_week_a_start_needs_the_year_again(
    run: Run, reset: ResetWorld, at: int
) -> None:
    """Without a terminal and without --yes nothing is written, dead letters stay, and exit is 2."""
    reset.world.clock.time = at
    reset.sqs.send_message(
        QueueUrl=reset.dead, MessageBody=json.dumps({"year": YEAR, "chunk": "chunk#00000000"})
    )
    for options in ((), ("--redrive",), ("--wait",)):
        ran = run("--year", str(YEAR), *REASON, *options, "--json")
        assert (ran.status, ran.json["error"]) == (2, "not-confirmed")
        assert "--yes" in ran.json["message"]
        assert "表前缀recovery" in ran.err
    assert nothing_began(reset)


@pytest.mark.parametrize("at", [MIDNIGHT - 5, MIDNIGHT - 6 + WEEK])
def test_in_its_first_week_a_start_needs_no_confirmation(
    run: Run, reset: ResetWorld, at: int
) -> None:
    """From 1 January 00:00 to 7 January 24:00 in Beijing."""
    reset.world.clock.time = at
    assert run("--year", str(YEAR), *REASON).status == 0
    assert reset.story.status(YEAR) is not None


def test_the_typed_year_starts_the_run(run: Run, november: ResetWorld, terminal: Type) -> None:
    """The question is on stderr and says what would happen; stdout has the JSON alone."""
    terminal(str(YEAR))
    ran = run("--year", str(YEAR), *REASON, "--json")
    assert ran.status == 0
    assert ran.json["begun_early"] is True
    assert ran.json["reason"] == "名录更新"
    assert "密码将立即重置" in ran.err


@pytest.mark.parametrize("typed", ["", "y", "2026", "20277", "\x04"])
def test_any_other_answer_starts_nothing(
    run: Run, november: ResetWorld, terminal: Type, typed: str
) -> None:
    """The exit status is 2. The last one is the terminal's end of file."""
    terminal(typed)
    ran = run("--year", str(YEAR), *REASON)
    assert (ran.status, ran.out) == (2, "")
    assert "没有做任何修改" in ran.err
    assert nothing_began(november)


def test_looking_needs_no_reason_and_no_confirmation(run: Run, november: ResetWorld) -> None:
    """The dry run and the status write nothing."""
    assert run("--year", str(YEAR), "--dry-run").status == 0
    assert run("--status", str(YEAR), "--json").json["error"] == "no-run"
    assert nothing_began(november)


def test_a_run_begun_early_is_announced_at_its_start(
    run: Run, november: ResetWorld, watched: Watched
) -> None:
    """By the status, by an alarm of the worker, and by the topic, with the operator and the time."""
    ran = run("--year", str(YEAR), *REASON, "--yes")
    assert ran.status == 0
    assert "提前启动" in ran.out
    november.work()
    # The worker has a thread for each message: the run may end before its start is announced.
    (early, ended) = sorted(november.announcements(), key=lambda text: "已结束" in text)
    assert "已提前启动：2026年11月30日 00:00，由arn:aws-cn:sts:" in early
    assert "已结束" in ended
    alarms = [line for line in watched.lines if line.get("alarm") == "reset-early"]
    assert [(line["year"], line["level"]) for line in alarms] == [(YEAR, "ERROR")]


def test_the_schedule_reports_a_run_that_was_begun_early(
    run: Run, november: ResetWorld, watched: Watched
) -> None:
    """On 1 January it resets nothing, and operators read since when and by whom."""
    run("--year", str(YEAR), *REASON, "--yes")
    november.work()
    november.announcements()
    before = LoginItem.get("11010148_cw").password_hash
    november.world.clock.time = MIDNIGHT
    november.schedule()
    assert november.work() == 0
    (report,) = november.announcements()
    assert "早已提前启动：2026年11月30日 00:00，由arn:aws-cn:sts:" in report
    assert "没有重置任何账号" in report
    assert LoginItem.get("11010148_cw").password_hash == before
    alarms = [line for line in watched.lines if line.get("alarm") == "reset-early"]
    assert len(alarms) == 2


def test_the_schedule_completes_a_run_that_was_begun_early(run: Run, november: ResetWorld) -> None:
    """Its report does not claim that nothing was done."""
    run("--year", str(YEAR), *REASON, "--yes")
    november.delete(november.receive(), set())
    november.world.clock.time = MIDNIGHT
    november.schedule()
    assert "补做" in november.announcements()[0]
    november.work()
    assert november.adds_up()


def test_a_run_in_time_is_not_called_early(run: Run, reset: ResetWorld) -> None:
    """Neither by the status nor by a message; a second start is stored with its reason."""
    run("--year", str(YEAR), *REASON)
    reset.work()
    reset.announcements()
    reset.world.clock.time += 60
    again = run("--year", str(YEAR), "--reason", "补做失败账号", "--json").json
    assert (again["begun_early"], again["reason"]) == (False, "名录更新")
    assert (again["resumed_at"], again["resumed_reason"]) == (MIDNIGHT + 60, "补做失败账号")
    out = run("--status", str(YEAR)).out
    assert "补做失败账号" in out
    assert "提前启动" not in out
    reset.schedule()
    assert reset.announcements() == []
