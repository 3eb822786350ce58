"""The processes of a run of the load, and what they depend on."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chalicelib import container
from chalicelib.domain.limits import Limits
from chalicelib.services.yearly_reset import reporting_year
from chalicelib.settings import load
from infra.local.identity_provider import CLIENT_ID, IdentityProvider
from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat
from infra.local.wechat.simulator import CODE_TEMPLATE_ID, NOTICE_TEMPLATE_ID

# Sets the AWS of this process; before anything of AWS.
from tests import conftest
from tests.browser.stack import Firm, made_up, running
from tests.perf.load import yearly
from tests.perf.load.calls import PATIENCE
from tests.perf.load.outages import (
    Outages,
    database_stops,
    sms_hangs,
    wechat_is_busy,
)
from tests.support.dynamodb_local import DynamoDbLocal
from tests.support.yearly_reset import add_logins

FAULTS = ("dynamodb", "sms", "wechat")

ATTACKED = 80
"""Firms that the attacker attacks; nobody of the people belongs to them."""
DESK_FIRMS = 10
"""Firms whose logins a pair at the desk changes; nobody of the people belongs to them."""
WRONG_CODES = 0.025
"""Part of people's steps that are wrong codes."""

_SECRET = "h" * 32
_ENOUGH = "1000000"
DESK_PAUSE_S = 3
"""Longest rest of the staff between two calls, on average."""
_FLOWS_PER_UNLOCKING = 5
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
    unlockings = options.pairs * options.seconds / DESK_PAUSE_S / _FLOWS_PER_UNLOCKING
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
class World:
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
def surroundings(options: Options) -> Iterator[World]:
    """Start everything, with the firms enrolled, and stop it at the end of the block."""
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
            run = parts.enter_context(yearly.running(year(), {**os.environ, **settings}))
            if run.wait("ready", PATIENCE * 4) is None:
                raise RuntimeError("the yearly run's process did not start")
        possible = {
            "dynamodb": lambda: database_stops(dynamodb),
            "sms": lambda: sms_hangs(sms),
            "wechat": lambda: wechat_is_busy(wechat),
        }
        outages = Outages([possible[name]() for name in FAULTS if name in options.faults])
        yield World(
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


def year() -> int:
    """Return the year whose run is possible at any time: the next one."""
    return reporting_year(int(time.time())) + 1
