"""The accounting of the load test's support desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.perf.load.desk import DeskRecord
from tests.perf.load.desk_reckoning import DeskLogin, DeskProposal, desk_faults

LOGIN = "11010148"
FIRST, SECOND, THIRD = "+8613800000001", "+8613700000002", "+8613700000003"
EVENTS = (
    "frozen",
    "unfrozen",
    *("phone-proposed", "phone-approved", "phone-changed"),
    *("phone-proposed", "phone-approved", "phone-changed", "phone-change-undone"),
    "phone-proposed",
)


class Story:
    """A login that was frozen and unfrozen, with a phone bound, one undone, and one proposed."""

    def __init__(self) -> None:
        self.record = DeskRecord(
            phones={"1": SECOND, "2": THIRD, "3": THIRD},
            states={"1": "active", "2": "undone", "3": "waiting"},
        )
        self.record.acts[LOGIN].update({"frozen": 1, "unfrozen": 1, "phone-proposed": 3})
        self.login = DeskLogin(FIRST, SECOND, False, EVENTS)
        self.proposals = [
            DeskProposal("1", LOGIN, "active", 100),
            DeskProposal("2", LOGIN, "undone", 200),
            DeskProposal("3", LOGIN, "waiting"),
        ]

    def faults(self) -> list[str]:
        return desk_faults(self.record, {LOGIN: self.login}, self.proposals)

    def keep(self, **changed: object) -> None:
        self.login = replace(self.login, **changed)  # type: ignore[arg-type]

    def turn(self, number: int, state: str) -> None:
        self.proposals[number] = replace(self.proposals[number], state=state)


def test_a_story_that_adds_up_has_no_fault() -> None:
    """An undone phone leaves the one before it."""
    assert Story().faults() == []


def test_an_act_in_doubt_may_have_taken_effect() -> None:
    """Its answer was lost in a fault."""
    story = Story()
    story.record.acts[LOGIN]["frozen"] -= 1
    assert story.faults() == [f"{LOGIN}: frozen 1 times, answered 0 times"]
    story.record.doubts[LOGIN]["frozen"] += 1
    assert story.faults() == []


SPOILT: dict[str, tuple[Callable[[Story], object], str]] = {
    "frozen without event": (lambda story: story.keep(is_frozen=True), "whether it is frozen"),
    "event lost": (lambda story: story.keep(events=EVENTS[:-1]), "phone-proposed 2 times"),
    "phone lost": (lambda story: story.keep(phone=FIRST), "not that of the last proposal"),
    "phone not undone": (lambda story: story.keep(phone=THIRD), "not that of the last proposal"),
    "confirmation lost": (lambda story: story.turn(0, "approved"), "answered active is approved"),
    "undo lost": (lambda story: story.turn(1, "active"), "answered undone is active"),
    "half done": (lambda story: story.turn(2, "active"), "phone-changed 2 times, and 3"),
    "proposal lost": (lambda story: story.proposals.pop(), "answered waiting is missing"),
    "unfinished": (
        lambda story: story.record.unfinished.append("a proposal stayed approved"),
        "stayed approved",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_discrepancy_is_found(name: str) -> None:
    """Each loss, each act that was done twice, and each proposal that is half done."""
    spoil, words = SPOILT[name]
    story = Story()
    spoil(story)
    assert any(words in fault for fault in story.faults()), story.faults()
