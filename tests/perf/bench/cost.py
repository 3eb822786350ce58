"""The costs of the flows and of a yearly run: request units, Lambda's milliseconds, SMS, and money."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from tests.package import built, runtime
from tests.perf.bench import figures, flows, machine, ours, packaging, prices, units, yearly
from tests.perf.bench.machine import Cores, Watch
from tests.perf.bench.prices import Prices, Usage

RECOVERIES = 10_000
YEARLY = (24_000, 1_000_000, 100_000_000)

COUNTED, TIMED = 3, 15
"""How often each story is played for its units, and for its times."""

FUNCTIONS = ("api_handler", "yearly_reset", "reset_accounts", "sms_receipts")


def configured() -> dict[str, dict[str, int]]:
    """Return memory in MB and time-out in seconds of each function, from .chalice/config.json."""
    config = json.loads((built.ROOT / ".chalice" / "config.json").read_text("utf-8"))
    names = {"memory": "lambda_memory_size", "timeout": "lambda_timeout"}
    of = config["stages"]["prod"]["lambda_functions"]
    return {
        function: {
            short: int(of.get(function, {}).get(name, config[name]))
            for short, name in names.items()
        }
        for function in FUNCTIONS
    }


@dataclass
class FlowMeans:
    """The means of a flow."""

    usage: Usage
    row: dict[str, Any]


def measure(cores: Cores, sizes: Sequence[int], list_: Prices) -> dict[str, Any]:
    """Measure every flow and a yearly run."""
    with ours.place(cores, LIMIT_SENDS_PER_SERVICE_HOUR="2000") as around:
        played, api = _flows(around)
        with yearly.surroundings(around) as environment:
            took = yearly.receipts(around, environment)
            runs = [yearly.run(around, environment, size) for size in sizes]
    return {
        "flows": [flow.row for flow in played.values()],
        "recoveries": [
            {
                "flow": f"{RECOVERIES:,} x {name}",
                **_rounded(prices.money(played[name].usage.times(RECOVERIES), list_)),
            }
            for name in ("recovery by SMS", "recovery by WeChat")
        ],
        "yearly_runs": [yearly.described(run) for run in runs],
        **_beyond(runs, list_),
        "functions": _functions(api, runs, took),
        "prices": asdict(list_),
        "currency": prices.CURRENCY,
    }


def _rounded(kinds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in kinds.items()}


def _flows(around: ours.Place) -> tuple[dict[str, FlowMeans], dict[str, Any]]:
    memory = configured()["api_handler"]["memory"]
    known = around.service.hasher.hash(ours.PASSWORD)
    first = count(32_000_000, 1_000)
    logins = {
        name: iter(
            ours.add_people(
                COUNTED + TIMED + 1,
                next(first),
                bound=bound,
                password_hash=known if story is flows.verified else "old",
            )
        )
        for name, (story, bound) in flows.STORIES.items()
    }
    folder = packaging.unpacked()
    counted: dict[str, tuple[units.Units, float]] = {}
    watches: dict[str, Watch] = {}
    with units.counting(around.dynamodb) as counter:
        told = {**around.environment, "AWS_ENDPOINT_URL_DYNAMODB": counter.url}
        with runtime.running(folder, "app.app", told, around.cores.server) as api:
            function = ours.Function(around, api, [])
            for name, (story, _) in flows.STORIES.items():
                counted[name] = _counted(function, story, logins[name], counter)
    with runtime.running(folder, "app.app", around.environment, around.cores.server) as api:
        function = ours.Function(around, api, [])
        start = Watch(function.pids)
        start("first", lambda: api.invoke(runtime.api_event("GET", "/health")))
        for name, (story, _) in flows.STORIES.items():
            # Once without being counted: the first of a kind builds what later ones use.
            flows.play(function, story, next(logins[name]), Watch(function.pids))
            watches[name] = Watch(function.pids)
            for _ in range(TIMED):
                flows.play(function, story, next(logins[name]), watches[name])
        peak = machine.memory_mib(api.pid)
    played = {name: _told(name, *counted[name], watches[name], memory) for name in flows.STORIES}
    return played, {"first": start, "watches": list(watches.values()), **peak}


def _counted(
    function: ours.Function, story: flows.Story, logins: Iterator[str], counter: units.Counter
) -> tuple[units.Units, float]:
    """Return units and billed SMS of one run of a flow; the first run builds what later ones use."""
    phones, sign = function.place.phones, function.place.service.settings.sms_sign
    spent, sent = [], []
    before: list[Any] = []
    for _ in range(COUNTED):
        before.clear()
        flows.play(
            function,
            story,
            next(logins),
            Watch(function.pids),
            lambda: before.extend((counter.units, len(phones.received))),
        )
        spent.append(counter.units.minus(before[0]))
        texts = [json.loads(one.body)["text"] for one in phones.received[before[1] :]]
        sent.append(sum(prices.sms_parts(text, sign) for text in texts))
    return spent[-1], sent[-1]


def _told(name: str, used: units.Units, sms: float, watch: Watch, memory: int) -> FlowMeans:
    requests = len(watch.wall)
    wall = sum(map(sum, watch.wall.values())) / TIMED
    cpu = sum(map(sum, watch.cpu.values())) / TIMED
    usage = Usage(
        read_units=used.read,
        write_units=used.write,
        lambda_gb_seconds=prices.gb_seconds(wall, memory),
        lambda_requests=requests,
        api_requests=requests,
        sms=sms,
    )
    row = {
        "flow": name,
        "requests": requests,
        "read_units": used.read,
        "write_units": used.write,
        "dynamodb_calls": used.calls,
        "lambda_ms": round(wall, 1),
        "cpu_ms": round(cpu, 1),
        "sms": sms,
    }
    return FlowMeans(usage, row)


def yearly_usage(run: yearly.Run, config: dict[str, dict[str, int]]) -> Usage:
    """Return the usage of a measured run. A message is sent, received and deleted, ten at a time."""
    work = run.work.wall["batch"]
    return Usage(
        read_units=run.units.read,
        write_units=run.units.write,
        lambda_gb_seconds=sum(
            prices.gb_seconds(took, config[name]["memory"]) for name, took in run.billed_ms.items()
        ),
        lambda_requests=1 + len(work),
        queue_requests=3 * len(work),
    )


def _beyond(runs: Sequence[yearly.Run], list_: Prices) -> dict[str, Any]:
    config = configured()
    used = [asdict(yearly_usage(run, config)) for run in runs]
    if len(runs) < 2:
        return {"yearly_money": []}
    lines = {
        name: figures.line((runs[0].logins, used[0][name]), (runs[-1].logins, used[-1][name]))
        for name in used[0]
    }
    bends = {
        name: round(
            figures.bend([(run.logins, one[name]) for run, one in zip(runs, used, strict=True)]), 3
        )
        for name in ("read_units", "write_units", "lambda_gb_seconds")
    }
    rows = []
    for logins in YEARLY:
        usage = Usage(**{name: base + slope * logins for name, (base, slope) in lines.items()})
        rows.append(
            {
                "logins": logins,
                "write_units": round(usage.write_units),
                "read_units": round(usage.read_units),
                "gb_seconds": round(usage.lambda_gb_seconds),
                **{
                    name: round(value, 2)
                    for name, value in prices.money(usage, list_).items()
                    if value
                },
            }
        )
    per_login = {name: round(slope, 5) for name, (_, slope) in lines.items() if slope}
    return {"yearly_per_login": per_login, "yearly_bend": bends, "yearly_money": rows}


def _functions(
    api: dict[str, Any], runs: Sequence[yearly.Run], took: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return each function's additional environment."""
    largest = runs[-1]
    requests = [
        sample for watch in api["watches"] for samples in watch.wall.values() for sample in samples
    ]
    receipts: Watch = took["watch"]
    seen = {
        "api_handler": (api["first"].wall["first"][0], requests, api["peak_rss_mib"]),
        "yearly_reset": (
            largest.plan.wall["first"][0],
            largest.plan.wall["first"],
            largest.memory["yearly_reset"]["peak_rss_mib"],
        ),
        "reset_accounts": (
            None,
            largest.work.wall["batch"],
            largest.memory["reset_accounts"]["peak_rss_mib"],
        ),
        "sms_receipts": (
            receipts.wall["first"][0],
            receipts.wall["batch"],
            took["peak_rss_mib"],
        ),
    }
    config = configured()
    return [
        {
            "function": name,
            "memory_mb": config[name]["memory"],
            "peak_rss_mib": peak,
            "timeout_s": config[name]["timeout"],
            "first_ms": None if first is None else round(first, 1),
            "p50_ms": round(figures.percentile(samples, 0.5), 1),
            "max_ms": round(max(samples), 1),
        }
        for name, (first, samples, peak) in seen.items()
    ]
