"""One run of the load: everybody in it, and the reckoning afterwards."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from botocore.credentials import Credentials

from chalicelib.domain.limits import Limits
from chalicelib.handlers.http import cookies
from tests.perf.load import stored
from tests.perf.load.answers import Answers
from tests.perf.load.attacker import Attacker
from tests.perf.load.calls import PATIENCE
from tests.perf.load.desk import Auditor, Browser, Desk, DeskRecord, Pair
from tests.perf.load.desk_reckoning import desk_faults
from tests.perf.load.people import Outside, Person
from tests.perf.load.reckoning import Responses, YearlyRun, faults
from tests.perf.load.report import Result
from tests.perf.load.world import DESK_FIRMS, DESK_PAUSE_S, Options, World, surroundings, year

ATTACKER = "oLoad_attacker"
_LAST_PAUSE_S = 10
"""Longest rest of people who recover once more after the faults, on average."""
_LAST_S = 240
"""Seconds in which everybody has to finish after the faults."""
_YEARLY_BEGINS = 0.1
"""Part of the time after which the yearly run begins."""
_YEARLY_S = 300
"""Seconds after the people's time in which the yearly run has to end."""


def measure(options: Options) -> Result:
    """Run the load and return its result."""
    print(f"{options.processes} processes, {options.people} people, {options.seconds:.0f} s")
    with surroundings(options) as world:
        return _Load(world).run()


class _Load:
    """Everybody in a world, and the record of what they were answered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._options = options = world.options
        service = world.service
        self._answers = answers = Answers(world.outages)
        self._responses = Responses()
        self._began = time.monotonic()
        ends_at = self._began + options.seconds
        self._outside = Outside(
            world.services,
            world.sms,
            world.wechat,
            lambda openid: cookies.keep_visitor_openid(service, openid).partition(";")[0],
            Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]),
            self._responses,
            answers,
            ends_at,
            options.pause,
            options.proof,
            options.yearly,
        )
        attacked = [login for each in world.attacked for login in stored.logins_of(each)]
        self._stranger = Attacker(
            world.services, answers, self._outside.cookie(ATTACKER), attacked, ends_at
        )
        self._people = [Person(firm, self._outside, n) for n, firm in enumerate(world.people)]
        self._record = DeskRecord()
        site = service.settings.site_url
        self._desk = Desk(
            lambda caller, member: Browser(caller, site, world.provider, member),
            world.services,
            answers,
            world.sms,
            world.people,
            attacked,
            self._record,
            ends_at,
            min(options.pause, DESK_PAUSE_S),
        )
        self._pairs = [
            Pair(self._desk, world.desk[n * DESK_FIRMS : (n + 1) * DESK_FIRMS], n)
            for n in range(options.pairs)
        ]
        self._auditors = [Auditor(self._desk, n) for n in range(bool(options.pairs))]

    def run(self) -> Result:
        """Let everybody live, then compare what they were answered with what is stored."""
        # Signing in took some time.
        self._began = time.monotonic()
        self._set_end(self._began + self._options.seconds)
        over = threading.Event()
        faults_end = threading.Thread(
            target=self._world.outages.run,
            args=(self._options.seconds, self._options.fault_seconds, over, self._prolong),
        )
        faults_end.start()
        lives = [person.live for person in self._people]
        lives += [pair.live for pair in self._pairs]
        lives += [auditor.live for auditor in self._auditors]
        if self._options.attacker:
            lives.append(self._stranger.live)
        beginning = threading.Timer(self._options.seconds * _YEARLY_BEGINS, self._begin_yearly)
        beginning.start()
        self._play(lives)
        over.set()
        faults_end.join()
        beginning.join()
        seconds = time.monotonic() - self._began
        run = self._end_of_yearly()
        finished = self._finish()
        self._answers.errors.update(self._stranger.attack.other)
        return Result(
            {**asdict(self._options), "faults": list(self._options.faults)},
            seconds,
            self._answers,
            self._responses,
            self._stranger.attack if self._options.attacker else None,
            run,
            finished,
            self._lost(run, finished),
        )

    def _prolong(self, seconds: float) -> None:
        self._set_end(self._outside.ends_at + seconds)

    def _set_end(self, at: float) -> None:
        self._outside.ends_at = self._stranger.ends_at = self._desk.ends_at = at

    def _play(self, lives: Sequence[Callable[[], object]]) -> None:
        threads = [threading.Thread(target=live, daemon=True) for live in lives]
        for thread in threads:
            thread.start()
        # The end moves where a fault lasts longer than planned.
        while time.monotonic() < self._outside.ends_at + 3 * PATIENCE:
            left = [thread for thread in threads if thread.is_alive()]
            if not left:
                return
            left[0].join(1)
        if left := [thread for thread in threads if thread.is_alive()]:
            self._answers.error(f"{len(left)} people were still waiting at the end")

    def _begin_yearly(self) -> None:
        if self._world.run is not None:
            self._world.run.begin()

    def _end_of_yearly(self) -> dict[str, Any] | None:
        """Wait for the end of the yearly run and return its figures."""
        run = self._world.run
        if run is None:
            return None
        ended = run.wait("ended", _YEARLY_S)
        for line in run.all("chunk"):
            answer = "200" if line["is_done"] else "again"
            self._answers.record(
                "yearly: chunk", answer, line["began"], line["ended"], longest=math.inf
            )
        planned = run.all("planned")
        return {
            "year": year(),
            "planning_s": round(planned[0]["seconds"], 1) if planned else None,
            "starts_that_failed": len(run.all("start failed")),
            "seconds": None if ended is None else round(ended["at"] - self._began, 1),
            **{
                name: None if ended is None else ended[name]
                for name in ("started_at", "logins", "done", "skipped", "failed")
            },
        }

    def _finish(self) -> Counter[str]:
        """Have everybody recover once more after the faults; return how that ended."""
        if not self._options.faults:
            return Counter()
        self._set_end(time.monotonic() + _LAST_S)
        self._outside.pause = min(self._options.pause, _LAST_PAUSE_S)
        finished: list[str] = []
        # Bound to its person now: a closure in a loop would be bound to the last one.
        recoveries = [
            lambda person=person: finished.append(person.finish()) for person in self._people
        ]
        self._play([*recoveries, *(pair.finish for pair in self._pairs)])
        return Counter(finished)

    def _lost(self, run: dict[str, Any] | None, finished: Counter[str]) -> list[str]:
        is_password = self._world.service.hasher.verify
        sms = self._world.sms
        codes = {
            to: sum(message.template == "code" for message in sms.inbox(to)) for to in sms.numbers()
        }
        lost = [f"{count} times: {what}" for what, count in self._answers.errors.items()]
        lost += [
            f"{count} people could not recover after the faults: {how}"
            for how, count in finished.items()
            if how not in ("recovered", "limited")
        ]
        yearly = None
        if run is not None:
            lost += stored.yearly_faults(run)
            if run["started_at"] is not None:
                yearly = YearlyRun(run["year"], run["started_at"])
        kept = stored.people(self._world.people)
        lost += faults(self._responses, kept, codes, Limits(), is_password, yearly)
        lost += desk_faults(self._record, stored.desk(self._world.desk), stored.proposals())
        return lost
