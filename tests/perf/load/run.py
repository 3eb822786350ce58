"""One run of the load: its surroundings, everybody in it, and the reckoning afterwards."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials

from chalicelib import container
from chalicelib.domain.limits import Limits
from chalicelib.handlers.http import cookies
from chalicelib.services.yearly_reset import reporting_year
from chalicelib.settings import load
from infra.local.identity_provider import CLIENT_ID, IdentityProvider
from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from infra.local.wechat.simulator import CODE_TEMPLATE_ID, NOTICE_TEMPLATE_ID

# Sets the AWS of this process; before anything of AWS.
from tests import conftest
from tests.browser.stack import Firm, made_up, running
from tests.perf.load import stored, yearly
from tests.perf.load.answers import Answers
from tests.perf.load.attacker import Attacker
from tests.perf.load.calls import PATIENCE
from tests.perf.load.desk import Auditor, Browser, Desk, DeskRecord, Pair
from tests.perf.load.desk_reckoning import desk_faults
from tests.perf.load.outages import (
    Outages,
    database_stops,
    sms_hangs,
    wechat_is_busy,
)
from tests.perf.load.people import Outside, Person
from tests.perf.load.reckoning import Responses, YearlyRun, faults
from tests.perf.load.report import Result
from tests.support.dynamodb_local import DynamoDbLocal
from tests.support.yearly_reset import add_logins

FAULTS = ("dynamodb", "sms", "wechat")

ATTACKED = 80
"""Firms that the attacker attacks; nobody of the people belongs to them."""
DESK_FIRMS = 10
"""Firms whose logins a pair at the desk changes; nobody of the people belongs to them."""
WRONG_CODES = 0.025
"""Part of people's steps that are wrong codes."""
ATTACKER = "oLoad_attacker"

_SECRET = "h" * 32
_ENOUGH = "1000000"
_DESK_PAUSE_S = 3
_FLOWS_PER_UNLOCKING = 5
_LAST_PAUSE_S = 10
"""Longest rest of people who recover once more after the faults, on average."""
_LAST_S = 240
"""Seconds in which everybody has to finish after the faults."""
_YEARLY_BEGINS = 0.1
"""Part of the time after which the yearly run begins."""
_YEARLY_S = 300
"""Seconds after the people's time in which the yearly run has to end."""
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    seconds: float
    people: int
    processes: int
    pause: float
    proof: bool
    attacker: bool
    pairs: int
    yearly: bool
    logins: int
    faults: Sequence[str]
    fault_seconds: float


def _settings(
    options: Options, sms: str, wechat: str, provider: IdentityProvider
) -> dict[str, str]:
    """Return the settings of every process, so that any of them can continue another's work."""
    # Twice the people's own wrong codes, and the attacker's: its own limit of a day, which each unlocking
    # of a login that it attacked lifts.
    steps = options.people * options.seconds / max(options.pause, 1)
    unlockings = options.pairs * options.seconds / _DESK_PAUSE_S / _FLOWS_PER_UNLOCKING
    attacks = Limits().wrong_codes_per_requester_day * math.ceil(1 + unlockings)
    wrong_codes = attacks + math.ceil(steps * 2 * WRONG_CODES)
    return {
        **{name: conftest.SETTINGS[name] for name in conftest.SETTINGS if name != "SMS_GATEWAYS"},
        "SMS_GATEWAYS": "http",
        "SMS_HTTP_URL": sms,
        "SMS_HTTP_SECRET": _SECRET,
        "WECHAT_API_URL": wechat,
        "WECHAT_OPEN_URL": wechat,
        "WECHAT_CODE_TEMPLATE_ID": CODE_TEMPLATE_ID,
        "WECHAT_NOTICE_TEMPLATE_ID": NOTICE_TEMPLATE_ID,
        "OIDC_ISSUER": provider.url,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": _SECRET,
        "PROOF_OF_WORK": "1" if options.proof else "0",
        "LIMIT_STARTS_PER_ADDRESS_HOUR": _ENOUGH,
        "LIMIT_LOGINS_PER_REQUESTER_DAY": _ENOUGH,
        "LIMIT_SENDS_PER_SERVICE_HOUR": _ENOUGH,
        "LIMIT_WRONG_CODES_PER_SERVICE_HOUR": str(wrong_codes),
        "LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR": _ENOUGH,
        # DynamoDB Local keeps the tables of each key and region apart.
        **{
            name: os.environ[name]
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        },
    }


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a new folder, in memory where the system has such a place.

    DynamoDB Local waits for the disk at each write, which takes five times as long as the write.
    """
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@dataclass
class _World:
    """The running processes and what they depend on."""

    options: Options
    services: list[str]
    sms: SimulatedSms
    wechat: SimulatedWeChat
    provider: IdentityProvider
    service: container.Service
    outages: Outages
    people: list[Firm]
    attacked: list[Firm]
    desk: list[Firm]
    run: yearly.Yearly | None


@contextmanager
def _world(options: Options) -> Iterator[_World]:
    # The first of the made-up firms has no phone.
    made = made_up(options.people + ATTACKED + options.pairs * DESK_FIRMS + 1)[1:]
    people, others = made[: options.people], made[options.people :]
    with ExitStack() as parts:
        folder = parts.enter_context(_folder())
        stored_in = None
        if "dynamodb" in options.faults:
            stored_in = folder / "dynamodb"
            stored_in.mkdir()
        dynamodb = parts.enter_context(DynamoDbLocal(stored_in))
        sms = parts.enter_context(SimulatedSms(_SECRET))
        services: list[str] = []
        wechat = parts.enter_context(_wechat(services))
        site = conftest.SETTINGS["SITE_URL"]
        provider = parts.enter_context(
            IdentityProvider(_SECRET, lambda: f"{site}/support/callback")
        )
        settings = _settings(options, sms.url, wechat.url, provider)
        for number in range(options.processes):
            place = folder / str(number)
            place.mkdir()
            # The first one enrols everybody; the others find them there.
            theirs = made if number == 0 else made[:1]
            arguments = ["--dynamodb", dynamodb.url]
            stack = running(place, firms=theirs, arguments=arguments, **settings)
            services.append(parts.enter_context(stack).url)
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb.url
        # Also configures the models, by which the tables are read and written here.
        service = container.Service(load(settings))
        run = None
        if options.yearly:
            add_logins(options.logins)
            run = parts.enter_context(yearly.running(_year(), {**os.environ, **settings}))
            if run.wait("ready", PATIENCE * 4) is None:
                raise RuntimeError("the yearly run's process did not start")
        possible = {
            "dynamodb": lambda: database_stops(dynamodb),
            "sms": lambda: sms_hangs(sms),
            "wechat": lambda: wechat_is_busy(wechat),
        }
        outages = Outages([possible[name]() for name in FAULTS if name in options.faults])
        yield _World(
            options,
            services,
            sms,
            wechat,
            provider,
            service,
            outages,
            people,
            others[:ATTACKED],
            others[ATTACKED:],
            run,
        )


def _wechat(services: list[str]) -> SimulatedWeChat:
    turns = itertools.count()
    names = ("WECHAT_APP_ID", "WECHAT_APP_SECRET", "WECHAT_TOKEN", "WECHAT_AES_KEY")
    return SimulatedWeChat(
        *(conftest.SETTINGS[name] for name in names),
        callback_url=lambda: services[next(turns) % len(services)] + "/wechat/callback",
        visitor=lambda hints: hints["_phone"],
    )


def _year() -> int:
    """Return the year whose run is possible at any time: the next one."""
    return reporting_year(int(time.time())) + 1


def measure(options: Options) -> Result:
    """Run the load and return its result."""
    print(f"{options.processes} processes, {options.people} people, {options.seconds:.0f} s")
    with _world(options) as world:
        return _Load(world).run()


class _Load:
    """Everybody in a world, and the record of what they were answered."""

    def __init__(self, world: _World) -> None:
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
            min(options.pause, _DESK_PAUSE_S),
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
            args=(self._options.seconds, self._options.fault_seconds, over),
        )
        faults_end.start()
        lives = [person.live for person in self._people]
        lives += [pair.live for pair in self._pairs]
        lives += [auditor.live for auditor in self._auditors]
        if self._options.attacker:
            lives.append(self._stranger.live)
        beginning = threading.Timer(self._options.seconds * _YEARLY_BEGINS, self._begin_yearly)
        beginning.start()
        self._play(lives, self._options.seconds + 3 * PATIENCE)
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

    def _set_end(self, at: float) -> None:
        self._outside.ends_at = self._stranger.ends_at = self._desk.ends_at = at

    def _play(self, lives: Sequence[Callable[[], object]], seconds: float) -> None:
        threads = [threading.Thread(target=live, daemon=True) for live in lives]
        ends_at = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, ends_at - time.monotonic()))
        if left := sum(thread.is_alive() for thread in threads):
            self._answers.error(f"{left} people were still waiting at the end")

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
            "year": _year(),
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
        self._play([*recoveries, *(pair.finish for pair in self._pairs)], _LAST_S + 3 * PATIENCE)
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
        year = None
        if run is not None:
            lost += stored.yearly_faults(run)
            if run["started_at"] is not None:
                year = YearlyRun(run["year"], run["started_at"])
        kept = stored.people(self._world.people)
        lost += faults(self._responses, kept, codes, Limits(), is_password, year)
        lost += desk_faults(self._record, stored.desk(self._world.desk), stored.proposals())
        return lost
