"""Timing of calls whose responses must not differ: cases interleaved, and their medians compared."""

from __future__ import annotations

import logging
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from chalicelib import container, runtime
from chalicelib.settings import load
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import LoginItem
from tests.conftest import SETTINGS, Clock, Phones, World, add_firm
from tests.support import dynamodb_local
from tests.support.api_client import ApiClient

LOGIN, UNKNOWN = "11010148", "11010149"
# It has a WeChat and no phone, so that right details undo nothing either: no way would be left.
WITHOUT_PHONE = f"{LOGIN}_cw"
WARM_UP = 10
_DRAWS = 2_000

RIGHT = {
    "firm_no": LOGIN,
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}
# Of the right ones' lengths.
WRONG = {
    "firm_no": "11010149",
    "approval_no": "京财会许可〔2013〕0085号",
    "head_name": "阿依古丽·买买题",
}

Call = Callable[[], object]


@dataclass
class Samples:
    """Milliseconds by round: wall time, and processor time of this thread."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """Milliseconds: the medians of two cases, their difference, and its 95 % interval."""

    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Return whether these rounds show a difference."""
        return not self.low <= 0 <= self.high


def compare(first: Sequence[float], second: Sequence[float], seed: int = 1) -> Compared:
    """Return the medians and the bootstrap of their difference; the two are paired by round."""
    dice = random.Random(seed)
    rounds = range(len(first))
    differences = []
    for _ in range(_DRAWS):
        drawn = dice.choices(rounds, k=len(rounds))
        differences.append(
            statistics.median(first[i] for i in drawn) - statistics.median(second[i] for i in drawn)
        )
    differences.sort()
    medians = statistics.median(first), statistics.median(second)
    return Compared(
        *medians,
        medians[0] - medians[1],
        differences[int(_DRAWS * 0.025)],
        differences[int(_DRAWS * 0.975) - 1],
    )


def interleaved(calls: Mapping[str, Call], rounds: int, before: Call) -> dict[str, Samples]:
    """Return the times of each case, round by round; preparation is not timed."""
    dice = random.Random(7)
    taken = {name: Samples() for name in calls}
    for number in range(-WARM_UP, rounds):
        for name in dice.sample(list(calls), len(calls)):
            before()
            wall, cpu = time.perf_counter(), time.thread_time()
            calls[name]()
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            if number >= 0:
                taken[name].wall.append(wall * 1_000)
                taken[name].cpu.append(cpu * 1_000)
    return taken


@contextmanager
def _world() -> Iterator[World]:
    clock, phones = Clock(), Phones()
    # What is counted by login is forgotten before each call; these would end the rounds.
    more = {
        "LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR": "10000000",
        "LIMIT_STARTS_PER_ADDRESS_HOUR": "10000000",
        "LIMIT_LOGINS_PER_REQUESTER_DAY": "10000000",
    }
    with dynamodb_local.serving() as url:
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = url
        dynamodb_local.create_tables_without_ttl(url, "recovery")
        service = container.Service(
            load({**SETTINGS, **more}),
            clock=clock,
            gateways={"console": phones},
            pause=lambda _: None,
        )
        with runtime.using(service):
            add_firm(service.hasher, finance_phone=None, openid="o-alice")
            yield World(service, clock, phones, ApiClient())


class TimedCalls:
    """The calls whose times are compared."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._token = world.token(WITHOUT_PHONE, None)

    def verify(self, login: str) -> None:
        """Send a wrong password."""
        body = {"login": login, "password": "Falsches-wort-9"}
        answer = self._world.call("POST", "/credentials/verify", body)
        assert answer.status_code == 200, answer.body

    def unbind(self, *wrong: str) -> None:
        """Send details of which these are wrong."""
        body = {**RIGHT, **{name: WRONG[name] for name in wrong}}
        answer = self._world.call("POST", "/recovery/unbinding", body, token=self._token)
        assert answer.status_code == (403 if wrong else 409), answer.body

    def start(self, login: str) -> None:
        """Send the name of a login."""
        answer = self._world.start(login, None)
        assert answer.status_code in (201, 404), answer.body

    @staticmethod
    def forget() -> None:
        """Clear the login's counters, so that each call has the same conditions."""
        LoginItem(LOGIN).update(
            [LoginItem.starts.set([]), LoginItem.starts_by.set({}), LoginItem.failures.set([])]
        )
        CodeItem(f"code#{WITHOUT_PHONE}").update(
            [CodeItem.details_by.set({}), CodeItem.expires_at.set(0)]
        )


def cases(target: TimedCalls) -> dict[str, dict[str, Call]]:
    """Return the cases by call; the first case is compared with the others."""
    unbind = target.unbind
    return {
        "POST /credentials/verify": {
            "wrong password": lambda: target.verify(LOGIN),
            "unknown login": lambda: target.verify(UNKNOWN),
        },
        "POST /recovery/unbinding": {
            "all right": unbind,
            "firm_no wrong": lambda: unbind("firm_no"),
            "approval_no wrong": lambda: unbind("approval_no"),
            "head_name wrong": lambda: unbind("head_name"),
            "all wrong": lambda: unbind(*RIGHT),
        },
        "POST /recovery (whose answer says it anyway)": {
            "known login": lambda: target.start(LOGIN),
            "unknown login": lambda: target.start(UNKNOWN),
        },
    }


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(min=2), default=300, show_default=True)
@click.option("--only", default="", help="Calls whose name contains this text.")
def main(rounds: int, only: str) -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore", category=UserWarning, module="chalice")
    logging.disable(logging.WARNING)
    print(f"{rounds} rounds, interleaved; milliseconds")
    with _world() as world:
        target = TimedCalls(world)
        chosen = {call: each for call, each in cases(target).items() if only in call}
        for call, calls in chosen.items():
            taken = interleaved(calls, rounds, target.forget)
            print(f"\n{call}")
            for clock in ("wall", "cpu"):
                _print(clock, {name: getattr(samples, clock) for name, samples in taken.items()})


def _print(clock: str, taken: Mapping[str, Sequence[float]]) -> None:
    for name, times in taken.items():
        cuts = statistics.quantiles(times, n=100)
        shown = "  ".join(f"p{at} {cuts[at - 1]:7.2f}" for at in (5, 25, 50, 75, 95))
        print(f"  {clock:<5}{name:<18} {shown}")
    first, *others = taken
    for other in others:
        found = compare(taken[first], taken[other])
        print(
            f"  {clock:<5}{first} - {other}: {found.difference:+.2f}, 95 % from {found.low:+.2f} to "
            f"{found.high:+.2f}: {'a difference' if found.differs else 'no difference to be seen'}"
        )


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.timing")
