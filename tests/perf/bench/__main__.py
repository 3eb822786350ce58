"""Measure what the service costs on this machine; print tables and write JSON.

Each part may be run alone: the results of the others stay in the JSON. Goals, each with its target, and
growth are printed at the end, of all results. The measured server has one core, DynamoDB Local and
what drives it the others.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace as Arguments
from typing import Any, TypeVar

import click

from tests.browser import stack
from tests.browser.needs import browser
from tests.browser.stack import Firm
from tests.perf.bench import (
    callback,
    cold,
    cost,
    desk,
    figures,
    floor,
    machine,
    ours,
    page_audit,
    page_load,
    peer_servers,
    prices,
    recovery,
    results,
    steps,
    worker,
)
from tests.support import dynamodb_local

Found = dict[str, Any]
T = TypeVar("T")


def whole_recovery(arguments: Arguments) -> Found:
    """Compare a whole recovery without password hashes: ours, the floor and the peers."""
    people = arguments.recoveries + recovery.WARM_UP
    with machine.divided() as cores:
        recordings = floor.record(cores, people)
        with (
            ours.place(cores, **ours.budget(people)) as around,
            ours.serving(around, people, cheap_hashes=True) as function,
            floor.serving(around, recordings) as least,
            _peers(arguments, lambda: peer_servers.serving(cores, people)) as peers,
        ):
            found = recovery.measure(
                {"ours": function, "floor": least, **peers}, arguments.recoveries
            )
    _print_recovery("whole recovery without a password hash", found)
    return {"recovery": found}


def deployed_recovery(arguments: Arguments) -> Found:
    """Compare a whole recovery as deployed: ours and the peers, each with its own password hash."""
    # A peer's hash takes half a second: fewer recoveries show as much.
    rounds = max(3, arguments.recoveries // 5)
    people = rounds + recovery.WARM_UP
    with (
        machine.divided() as cores,
        ours.place(cores, **ours.budget(people)) as around,
        ours.serving(around, people, cheap_hashes=False) as function,
        _peers(arguments, lambda: peer_servers.deployed(cores, people)) as peers,
    ):
        found = recovery.measure({"ours": function, **peers}, rounds)
    _print_recovery("whole recovery as deployed", found)
    return {"deployed": found}


def _print_recovery(title: str, found: Found) -> None:
    rows = [
        {"": name, **{key: value for key, value in facts.items() if key != "steps"}}
        for name, facts in found.items()
    ]
    steps = [
        {"": name, "step": step, **spread}
        for name, facts in found.items()
        for step, spread in facts["steps"].items()
    ]
    print(figures.table(f"{title}: CPU of the server and wall, mean ms", rows))
    print(figures.table("its steps: wall p50 and p99, and mean CPU, ms", steps))


def cold_start(arguments: Arguments) -> Found:
    """Measure from a process's start to its first response, and the effect of each packaging measure."""
    with (
        machine.divided() as cores,
        _peers(arguments, lambda: peer_servers.starts(cores)) as peers,
    ):
        found = cold.measure(cores, arguments.starts, peers)
    rows = [{"": name, **facts} for name, facts in found.items()]
    packages = cold.packages(found)
    print(figures.table("cold start: process start to first answer, median ms", rows))
    print(figures.table("the package: size, and its first POST of a recovery, median ms", packages))
    return {"cold": found, "packages": packages}


def _peers(
    arguments: Arguments, make: Callable[[], AbstractContextManager[dict[str, T]]]
) -> AbstractContextManager[dict[str, T]]:
    return nullcontext({}) if arguments.no_peers else make()


def wechat_callback(arguments: Arguments) -> Found:
    """Compare WeChat's callback with wechatpy."""
    with machine.divided() as cores, machine.on(cores.server):
        found = callback.measure(arguments.callbacks)
    print(figures.facts("callback, without the store", found))
    return {"callback": found}


def reset(arguments: Arguments) -> Found:
    """Compare the yearly reset's worker with bare argon2, and measure its memory by number of logins."""
    with (
        worker.on_one_core() as others,
        dynamodb_local.serving(others, heap_mib=4_096) as url,
    ):
        throughput = worker.measure(url)
        memory = worker.measure_memory(url, arguments.memory_logins)
    print(figures.facts("yearly reset, worker", throughput))
    rows = [{"logins": int(size), **peaks} for size, peaks in memory["logins"].items()]
    print(figures.table("yearly reset, memory", rows))
    return {"worker": throughput, "worker_memory": memory}


def costs(arguments: Arguments) -> Found:
    """Compute request units, Lambda's milliseconds, SMS and money of every flow and of a yearly run."""
    with machine.divided() as cores:
        found = cost.measure(
            cores, arguments.yearly_logins, prices.with_own_prices(arguments.price)
        )
    unit = found["currency"]
    print(figures.table("each flow once, on DynamoDB Local", found["flows"]))
    print(figures.table(f"money, {unit}", found["recoveries"]))
    print(figures.table("yearly runs, measured", found["yearly_runs"]))
    print(figures.facts("a yearly run, each login more", found.get("yearly_per_login", {})))
    print(figures.facts("off the straight line, share", found.get("yearly_bend", {})))
    print(figures.table(f"a yearly run, by the line, and money, {unit}", found["yearly_money"]))
    print(figures.table("functions: what they are given, and what they need", found["functions"]))
    print(figures.facts(f"prices, {unit}; see tests/perf/bench/prices.py", found["prices"]))
    return {"cost": found}


def desk_search(arguments: Arguments) -> Found:
    """Measure the support desk's search, a recovery and a callback by the number of firms."""
    found = desk.measure(arguments.desk_firms, max(3, arguments.recoveries // 4))
    for size, facts in found["sizes"].items():
        firms = f"{int(size):,} firms"
        print(figures.table(f"desk search among {firms}: ms, read units", facts["searches"]))
        print(figures.facts(f"a recovery without a hash, {firms}", facts["recovery"]))
        print(figures.facts(f"a callback of a follower, {firms}", facts["callback"]))
        print(f"  {facts['items']:,} items; the last of them were written in {facts['load_s']} s")
    return {"desk": found}


class _Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers above 0, comma separated, sorted on return."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        each = click.IntRange(min=1)
        texts: Any = value.split(",") if isinstance(value, str) else value
        return tuple(sorted(each.convert(text, param, ctx) for text in texts))


def _parts(ctx: click.Context, param: click.Parameter, value: str) -> set[str]:
    chosen = set(value.split(","))
    if unknown := chosen - set(PARTS):
        raise click.BadParameter(f"no such part: {', '.join(sorted(unknown))}", ctx, param)
    return chosen


def single_steps(arguments: Arguments) -> Found:
    """Measure single requests to the local stack."""
    with _local_stack() as url:
        found = steps.measure(url, arguments.rounds)
    print(figures.table("single requests over the local stack (moto), wall ms", found))
    return {"steps": found}


def page(_: Arguments) -> Found:
    """Measure when the page is usable on a slow network, and Lighthouse's scores."""
    chromium = browser()
    with _local_stack() as url:
        loaded = page_load.measure(url, chromium)
        audited = page_audit.measure(url, chromium)
    print(figures.facts("page, first view", loaded))
    print(figures.facts("page, Lighthouse, mobile", audited))
    return {"page_load": loaded, "page_audit": audited}


@contextmanager
def _local_stack() -> Iterator[str]:
    firm = Firm(steps.LOGIN, "13800001234", ours.APPROVAL_NO, ours.HEAD_NAME)
    with (
        tempfile.TemporaryDirectory() as folder,
        # One visitor starts many recoveries of one login.
        stack.running(
            Path(folder),
            [firm],
            ["--no-proof"],
            LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR="100000",
        ) as running,
    ):
        yield running.url


PARTS: dict[str, Callable[[Arguments], Found]] = {
    "deployed": deployed_recovery,
    "recovery": whole_recovery,
    "cold": cold_start,
    "callback": wechat_callback,
    "reset": reset,
    "cost": costs,
    "desk": desk_search,
    "steps": single_steps,
    "page": page,
}


_COUNT = click.IntRange(min=1)


@click.command(help=__doc__)
@click.option(
    "--only", default=",".join(PARTS), show_default=True, callback=_parts, help="parts, by commas"
)
@click.option("--recoveries", type=_COUNT, default=200, show_default=True, help="of each service")
@click.option("--no-peers", is_flag=True, help="ours alone")
@click.option("--starts", type=_COUNT, default=9, show_default=True, help="cold, of each kind")
@click.option("--callbacks", type=_COUNT, default=2_000, show_default=True, help="of each kind")
@click.option(
    "--memory-logins",
    type=_Numbers(),
    default="1000,100000",
    show_default=True,
    help="sizes at which the yearly reset's memory is measured",
)
@click.option(
    "--yearly-logins",
    type=_Numbers(),
    default="400,1000,2000",
    show_default=True,
    help="three sizes of whole yearly runs; a login takes 40 ms and more",
)
@click.option(
    "--desk-firms",
    type=_Numbers(),
    default="10000,100000,1000000",
    show_default=True,
    help="firms among which the support desk searches; a million of them are written in about 20 minutes",
)
@click.option("--price", multiple=True, metavar="NAME=VALUE", help="a price of your own")
@click.option(
    "--rounds", type=_COUNT, default=100, show_default=True, help="of the single requests"
)
@click.option("--no-charts", is_flag=True, help="leave the charts of docs/speed.md as they are")
def main(only: set[str], no_charts: bool, **options: Any) -> None:
    """Run the benchmarks, print their tables, write JSON, draw the charts."""
    arguments = Arguments(**options)
    # So that what was started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found: Found = results.read()
    for name, part in PARTS.items():
        if name in only:
            found = results.merged(found, part(arguments), [name], date.today().isoformat())
            # After each part: one that fails leaves the others' results.
            results.write(found)
    print(figures.table("goals", found["goals"]))
    print(figures.table("growth", found["growth"]))
    print(f"\nwritten to {results.OUT}")
    if not no_charts:
        # Imported here: the library of the charts is not in the process while it measures.
        from tests.perf.bench import charts

        for file in charts.draw(found):
            print(f"drawn {file}")


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.bench")
