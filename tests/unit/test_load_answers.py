"""The load test's record of answers, and the faults that explain them."""

from __future__ import annotations

import threading
import time

import pytest

from tests.perf.load.answers import LONGEST_S, UNDISTURBED, Answers, Figures, answer_of
from tests.perf.load.calls import Reply
from tests.perf.load.outages import Outage, Outages, spread


def _outage(**facts: object) -> Outage:
    return Outage(
        "dynamodb",
        lambda: None,
        lambda: None,
        {"*": ["503 unavailable"]},
        leaves_doubt=True,
        **facts,  # type: ignore[arg-type]
    )


def test_faults_are_spread_over_the_time() -> None:
    """Each is surrounded by as much time without one."""
    assert spread(3, 70, 60) == (10, 10)
    assert spread(3, 70, 6) == (13, 6)
    assert spread(1, 30, 60) == (10, 10)


def test_faults_begin_and_end_once() -> None:
    """The end of the run ends the last one early."""
    happened: list[str] = []
    over = threading.Event()
    over.set()
    outages = Outages(
        [Outage("sms", lambda: happened.append("begin"), lambda: happened.append("end"))]
    )
    outages.run(3_600, 3_600, over)
    assert happened == ["begin", "end"]
    (outage,) = outages.all
    assert outage.began_at is not None
    assert outage.ended_at is not None


def test_a_fault_that_lasts_longer_prolongs_the_run() -> None:
    """The time after it, in which everything works again, stays as long."""
    extra: list[float] = []
    outages = Outages([Outage("dynamodb", lambda: None, lambda: time.sleep(0.05))])
    over = threading.Event()
    over.set()
    outages.run(0.03, 60, over, extra.append)
    assert 0.03 < sum(extra) < 10


@pytest.mark.parametrize(
    ("began", "ended", "is_covered"),
    [(1, 9, False), (9, 10, True), (12, 13, True), (19, 30, True), (22, 23, True), (23, 24, False)],
)
def test_a_fault_covers_calls_under_way(began: float, ended: float, is_covered: bool) -> None:
    """Until it has settled."""
    outage = _outage(began_at=10, ended_at=20, settles_s=2)
    assert outage.covers(began, ended) is is_covered


def test_a_fault_that_has_not_begun_covers_nothing() -> None:
    """One that has not ended covers everything after its beginning."""
    assert not _outage().covers(0, 1_000)
    assert _outage(began_at=10).covers(500, 1_000)


def test_a_fault_explains_its_own_answers_only() -> None:
    """A lost answer, or that of another step, stays a fault of the service."""
    anywhere = _outage()
    assert anywhere.excuses("send", "503 unavailable")
    assert not anywhere.excuses("send", "401 recovery-expired")
    of_sends = Outage("wechat", lambda: None, lambda: None, {"send": ["503 unavailable"]})
    assert of_sends.excuses("send", "503 unavailable")
    assert not of_sends.excuses("confirm", "503 unavailable")
    unavailable = {"code": "unavailable"}
    assert Reply("send", 503, unavailable, {}, anywhere).is_in_doubt
    assert not Reply("send", 503, unavailable, {}, of_sends).is_in_doubt
    unexplained = Reply("send", 503, unavailable, {})
    assert unexplained.is_in_doubt
    assert not unexplained.is_excused
    assert not Reply("send", 502, {"code": "delivery-failed"}, {}, anywhere).is_in_doubt


def test_answers_are_counted_by_phase() -> None:
    """The first success after a fault is that of each step."""
    outage = _outage(began_at=10, ended_at=20)
    answers = Answers(Outages([outage]))
    assert answers.record("send", "202", 1, 1.25) is None
    assert answers.record("send", "503 unavailable", 11, 12) is outage
    answers.record("send", "429 too-many-requests", 20.5, 21)
    answers.record("send", "202", 21, 22.5)
    answers.record("send", "202", 21, 29)
    assert answers.counts() == {
        UNDISTURBED: {"send": {"202": 3, "429 too-many-requests": 1}},
        "dynamodb": {"send": {"503 unavailable": 1}},
    }
    assert answers.figures()["dynamodb"] == {"send": Figures(1, 1_000, 1_000)}
    assert answers.first_successes() == {"dynamodb": {"send": 2.5}}
    assert not answers.errors


def test_an_answer_after_the_function_s_time_out_is_a_fault() -> None:
    """The cloud would have answered 504, whatever is under way."""
    answers = Answers(Outages([_outage(began_at=0)]))
    answers.record("send", "202", 0, LONGEST_S)
    assert not answers.errors
    answers.record("send", "202", 0, LONGEST_S + 1)
    assert answers.errors.total() == 1


def test_an_answer_has_the_code_of_a_problem() -> None:
    """Successes have none, though their bodies may have a `code`."""
    assert answer_of(429, {"code": "too-many-requests"}) == "429 too-many-requests"
    assert answer_of(502, {}) == "502"
    assert answer_of(200, {"code": "000000"}) == "200"
