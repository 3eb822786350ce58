"""Faults of what the service depends on, each for some seconds in the middle of the load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from tests.support.dynamodb_local import DynamoDbLocal

ANY = "*"
"""Every step."""

_ALWAYS = 10**9
_HANGS_S = 3_600
"""Longer than any client waits for an answer."""

_TABLE = "recovery-logins"
_ANSWERS = 10
"""Answers in a row, each within `_QUICK_S`, after which DynamoDB counts as back."""
_QUICK_S = 0.3
_PAUSE_S = 0.1

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

    def run(
        self,
        seconds: float,
        longest: float,
        over: threading.Event,
        prolong: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Let each fault begin and end, evenly spread over `seconds`; `over` ends the last one early.

        `prolong` is called with the seconds by which a fault lasted longer than planned.
        """
        gap, length = spread(len(self.all), seconds, longest)
        for outage in self.all:
            over.wait(gap)
            outage.began_at = time.monotonic()
            outage.begin()
            over.wait(length)
            outage.end()
            outage.ended_at = time.monotonic()
            prolong(max(0, outage.ended_at - outage.began_at - length))


def spread(count: int, seconds: float, longest: float) -> tuple[float, float]:
    """Return the time around each of `count` faults within `seconds`, and its length."""
    length = min(seconds / (2 * count + 1), longest)
    return (seconds - count * length) / (count + 1), length


def database_stops(database: DynamoDbLocal) -> Outage:
    """Return the fault in which DynamoDB is stopped; it returns with its tables.

    It ends when calls are answered as fast as before: a new Java process is slow at first, and DynamoDB
    is not. What is queued in it is answered within the seconds after.
    """

    def end() -> None:
        database.start()
        _wait_for_answers(database.url)

    return Outage(
        "dynamodb", database.stop, end, {ANY: ["503 unavailable"]}, leaves_doubt=True, settles_s=5
    )


def _wait_for_answers(url: str) -> None:
    quick = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    client = boto3.client("dynamodb", endpoint_url=url, config=quick)
    in_a_row = 0
    while in_a_row < _ANSWERS:
        began = time.monotonic()
        try:
            client.scan(TableName=_TABLE, Limit=20)
        except (BotoCoreError, ClientError):
            in_a_row = 0
        else:
            in_a_row = in_a_row + 1 if time.monotonic() - began < _QUICK_S else 0
        time.sleep(_PAUSE_S)


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
