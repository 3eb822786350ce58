"""Faults of what the service depends on, each for some seconds in the middle of the load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from tests.support.dynamodb_local import DynamoDbLocal

ANY = "*"
"""Every step."""

_ALWAYS = 10**9
_HANGS_S = 3_600
"""Longer than any client waits for an answer."""

_BUSY = -1
"""WeChat's error code for a busy system."""


@dataclass
class Outage:
    """A fault that begins and ends once. Times are those of `time.monotonic`."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    answers: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The answers that people may get because of it, such as `503 unavailable`, by step or ANY."""
    leaves_doubt: bool = False
    """Whether the write behind such an answer may have taken effect."""
    settles_s: float = 0
    """Seconds after the end within which an answer still counts as one of the fault."""
    began_at: float | None = None
    ended_at: float | None = None

    def covers(self, began: float, ended: float) -> bool:
        """Return whether a call from `began` to `ended` was under way during the fault."""
        if self.began_at is None or ended < self.began_at:
            return False
        return self.ended_at is None or began <= self.ended_at + self.settles_s

    def excuses(self, step: str, answer: str) -> bool:
        """Return whether the fault explains this answer to this step."""
        return answer in {*self.answers.get(step, ()), *self.answers.get(ANY, ())}


class Outages:
    """The faults of one run, in their order."""

    def __init__(self, outages: Sequence[Outage] = ()) -> None:
        self.all = tuple(outages)

    def during(self, began: float, ended: float) -> Outage | None:
        """Return the fault during which a call was under way, or None."""
        return next((each for each in self.all if each.covers(began, ended)), None)

    def run(self, seconds: float, longest: float, over: threading.Event) -> None:
        """Let each fault begin and end, evenly spread over `seconds`; `over` ends the last one early."""
        began = time.monotonic()
        for outage, (start, length) in zip(
            self.all, spread(len(self.all), seconds, longest), strict=True
        ):
            over.wait(began + start - time.monotonic())
            outage.began_at = time.monotonic()
            outage.begin()
            over.wait(length)
            outage.end()
            outage.ended_at = time.monotonic()


def spread(count: int, seconds: float, longest: float) -> list[tuple[float, float]]:
    """Return begin and length of `count` faults within `seconds`, with as much time around each."""
    part = seconds / (2 * count + 1)
    return [(part * (2 * number + 1), min(part, longest)) for number in range(count)]


def database_stops(database: DynamoDbLocal) -> Outage:
    """Return the fault in which DynamoDB is stopped; it returns with its tables.

    A machine that is busy needs some seconds until a new Java process answers within the service's
    time-out.
    """
    unavailable = {ANY: ["503 unavailable"]}
    return Outage("dynamodb", database.stop, database.start, unavailable, True, settles_s=5)


def sms_hangs(sms: SimulatedSms) -> Outage:
    """Return the fault in which the SMS vendor accepts a connection and never answers.

    Nobody is refused: an SMS without an answer counts as sent.
    """
    return Outage(
        "sms",
        lambda: sms.fail(503, delay=_HANGS_S, times=_ALWAYS),
        lambda: sms.fail(times=0),
    )


def wechat_is_busy(wechat: SimulatedWeChat) -> Outage:
    """Return the fault in which WeChat answers every call with -1.

    A code for a bound WeChat is then certainly not sent; nothing else depends on WeChat's answer.
    """
    return Outage(
        "wechat",
        lambda: wechat.fail(_BUSY, times=_ALWAYS),
        wechat.mend,
        {"send": ["503 unavailable"]},
    )
