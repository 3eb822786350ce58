"""Two hundred people at once, over several processes of the service that share one DynamoDB Local.

`python -m tests.perf.load [--seconds N] [--people N] [--processes N] [--pause S] [--proof] [--no-attacker]`.
On loopback alone; ends by itself. Among the people is an attacker: one WeChat that begins recoveries of
other logins, has codes sent and guesses them at full speed, so that the budget of wrong codes of the
whole service fills. Nobody but the attacker may be refused for what the attacker does.

The limits by login and by destination are the real ones, and are checked afterwards; those of an address
are raised, since everybody comes from one, and so are the other budgets of the whole service. Exits 1
where anything was lost, answered 5xx or let through, or where a person was refused within the person's
own limits.

A machine that cannot keep up fails too: DynamoDB Local then answers after the service's time-out of
two seconds, which is a 503, and whether the write took effect is in doubt. A longer `--pause` is less load.
With `--proof` people solve proofs of work too, on the same machine; the attacker does in any case.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import click
from botocore.credentials import Credentials

from chalicelib import container
from chalicelib.domain.limits import Limits
from chalicelib.handlers.http import cookies
from chalicelib.settings import load
from chalicelib.store import audit
from chalicelib.store.models import AuditItem, LoginItem
from infra.local.sms import SimulatedSms
from infra.local.wechat import SimulatedWeChat

# Sets the AWS of this process; before anything of AWS.
from tests import conftest
from tests.browser.stack import Firm, made_up, running
from tests.perf.load.attacker import Attack, Attacker
from tests.perf.load.people import PATIENCE, Outside, Person
from tests.perf.load.reckoning import Event, Responses, StoredLogin, faults
from tests.support import dynamodb_local

SECRET = "h" * 32
ENOUGH = "1000000"
SHOWN = 40
"""Faults that are printed; of the others the number."""


ATTACKED = 80
"""Firms that the attacker attacks; nobody of the people belongs to them."""
WRONG_CODES = 0.025
"""Part of people's steps that are wrong codes."""
ATTACKER = "oLoad_attacker"


def _settings(dynamodb: str, sms: str, wechat: str, wrong_codes: int) -> dict[str, str]:
    """Return the settings of every process, so that any of them can continue another's work."""
    return {
        **{name: conftest.SETTINGS[name] for name in conftest.SETTINGS if name != "SMS_GATEWAYS"},
        "SMS_GATEWAYS": "http",
        "SMS_HTTP_URL": sms,
        "SMS_HTTP_SECRET": SECRET,
        "WECHAT_API_URL": wechat,
        "WECHAT_OPEN_URL": wechat,
        "WECHAT_CODE_TEMPLATE_ID": "",
        "WECHAT_NOTICE_TEMPLATE_ID": "",
        "LIMIT_STARTS_PER_ADDRESS_HOUR": ENOUGH,
        "LIMIT_LOGINS_PER_REQUESTER_DAY": ENOUGH,
        "LIMIT_SENDS_PER_SERVICE_HOUR": ENOUGH,
        "LIMIT_WRONG_CODES_PER_SERVICE_HOUR": str(wrong_codes),
        "LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR": ENOUGH,
        # DynamoDB Local keeps the tables of each key and region apart.
        **{
            name: os.environ[name]
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        },
    }


def _kept(firms: list[Firm]) -> dict[str, StoredLogin]:
    found = {}
    for firm in firms:
        for login in (firm.firm_no, f"{firm.firm_no}_cw"):
            item = LoginItem.get(login, consistent_read=True)
            events = [
                Event(audit.time_of(one), one.event, one.method, one.outcome)
                for one in AuditItem.query(login, consistent_read=True)
            ]
            found[login] = StoredLogin(item.password_hash, item.phone, item.openid, events)
    return found


def _print(responses: Responses, seconds: float) -> None:
    print(f"\n{'step':<16}{'n':>7}{'p50':>10}{'p99':>10} ms")
    for step, times in sorted(responses.times.items()):
        ordered = sorted(1_000 * taken for taken in times)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        print(f"{step:<16}{len(ordered):>7}{statistics.median(ordered):>10.0f}{p99:>10.0f}")
    calls = sum(map(len, responses.times.values()))
    print(
        f"{calls} calls in {seconds:.0f} s; codes sent {responses.sent.total()}, "
        f"passwords set {sum(map(len, responses.passwords.values()))}, unbound {responses.unbound.total()}, "
        f"wrong codes {responses.wrong_codes.total()}, errors {responses.errors.total()}"
    )


def _print_attack(attack: Attack) -> None:
    def listed(counts: Counter[str]) -> str:
        return ", ".join(f"{step} {count}" for step, count in sorted(counts.items())) or "nothing"

    print(f"attacker: accepted {listed(attack.accepted)}; refused {listed(attack.refused)}")


@click.command(help=__doc__)
@click.option("--seconds", type=click.FloatRange(min=1), default=120, show_default=True)
@click.option("--people", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--pause",
    type=click.FloatRange(min=0),
    default=20,
    show_default=True,
    help="seconds that a person rests between steps, on average",
)
@click.option("--proof", is_flag=True, help="people solve proofs of work, too")
@click.option("--attacker/--no-attacker", default=True, show_default=True)
def main(
    seconds: float, people: int, processes: int, pause: float, *, proof: bool, attacker: bool
) -> None:
    """Run the load, print the result, check it; exit with 1 where something is wrong."""
    # The first of the made-up firms has no phone.
    made = made_up(people + 1 + ATTACKED)[1:]
    firms, attacked = made[:people], made[people:]
    responses = Responses()
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        dynamodb = parts.enter_context(dynamodb_local.serving())
        sms = parts.enter_context(SimulatedSms(SECRET))
        services: list[str] = []
        turns = itertools.count()
        wechat = parts.enter_context(
            SimulatedWeChat(
                *(
                    conftest.SETTINGS[name]
                    for name in (
                        "WECHAT_APP_ID",
                        "WECHAT_APP_SECRET",
                        "WECHAT_TOKEN",
                        "WECHAT_AES_KEY",
                    )
                ),
                callback_url=lambda: services[next(turns) % len(services)] + "/wechat/callback",
                visitor=lambda hints: hints["_phone"],
            )
        )
        # Twice the people's own wrong codes and a few; the attacker's alone are more.
        steps = people * seconds / max(pause, 1)
        wrong_codes = 20 + math.ceil(steps * 2 * WRONG_CODES)
        settings = _settings(dynamodb, sms.url, wechat.url, wrong_codes)
        settings["PROOF_OF_WORK"] = "1" if proof else "0"
        arguments = ["--dynamodb", dynamodb]
        print(f"{processes} processes, {people} people, {seconds:.0f} s")
        for number in range(processes):
            place = folder / str(number)
            place.mkdir()
            # The first one enrols everybody; the others find them there.
            theirs = made if number == 0 else made[:1]
            local_stack = parts.enter_context(
                running(place, firms=theirs, arguments=arguments, **settings)
            )
            services.append(local_stack.url)
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb
        service = container.Service(load(settings))
        began = time.monotonic()
        outside = Outside(
            services,
            sms,
            wechat,
            lambda openid: cookies.keep_visitor_openid(service, openid).partition(";")[0],
            Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]),
            responses,
            began + seconds,
            pause,
            proof,
        )
        logins = [login for firm in attacked for login in (firm.firm_no, f"{firm.firm_no}_cw")]
        stranger = Attacker(services, outside.cookie(ATTACKER), logins, outside.ends_at)
        everybody = [Person(firm, outside, seed) for seed, firm in enumerate(firms)]
        lives = [person.live for person in everybody] + [stranger.live] * attacker
        threads = [threading.Thread(target=live, daemon=True) for live in lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, outside.ends_at + 3 * PATIENCE - time.monotonic()))
        if left := sum(thread.is_alive() for thread in threads):
            responses.errors[f"{left} people were still waiting at the end"] += 1
        responses.errors.update(stranger.attack.other)
        _print(responses, time.monotonic() - began)
        if attacker:
            _print_attack(stranger.attack)
        codes = {
            to: sum(message.template == "code" for message in sms.inbox(to)) for to in sms.numbers()
        }
        lost = faults(responses, _kept(firms), codes, Limits(), service.hasher.verify)
    for fault in lost[:SHOWN]:
        print(f"  {fault}")
    if len(lost) > SHOWN:
        print(f"  and {len(lost) - SHOWN} more")
    print(
        f"{len(lost)} faults"
        if lost
        else "nothing was lost, no 5xx, no limit overrun, nobody refused but the attacker"
    )
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.load")
