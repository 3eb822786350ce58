"""The support desk's search, a recovery and a callback, by the number of firms in the tables.

One DynamoDB Local is filled step by step. After each step every kind of search runs in this process,
and the packaged function, with hashes that cost nothing, makes recoveries and receives callbacks.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from chalicelib.services.desk.find import Find
from chalicelib.store import models
from tests.perf.bench import figures, flows, machine, ours, population, recovery, units
from tests.perf.bench.machine import Cores, Watch
from tests.perf.bench.population import Firm

PREFIX = "recovery"

SEARCHES, COUNTED = 100, 10
"""Of each kind and size: timed, and counted in units."""

CALLBACKS = 100

_FIRST_MEASURED = 32_000_000
"""The first login that makes a recovery; the filled ones are not used."""

KINDS: Mapping[str, Callable[[Firm], str | None]] = {
    "number": lambda firm: firm.facts.firm_no,
    "number, first six digits": lambda firm: firm.facts.firm_no[:6],
    "phone": lambda firm: firm.phone,
    "name from its beginning": lambda firm: firm.facts.name[:4],
    "name, a part of it": lambda firm: firm.word,
    "name, a city alone": lambda firm: firm.city,
    "name, from within a generic word on": lambda firm: (
        f"事务所{firm.city}分所" if firm.is_branch else None
    ),
    "head": lambda firm: firm.facts.head_name,
}
"""Kinds of searches, and what is typed to find a firm; None where the firm is not searched so."""

Sample = Sequence[tuple[Firm, str]]
"""Firms, and what is typed to find each."""


def measure(sizes: Sequence[int], recoveries: int) -> dict[str, Any]:
    """Return the figures by number of firms; `sizes` ascend."""
    found: dict[str, Any] = {}
    there = written = 0
    with ours.place(cores(), **ours.budget(len(sizes) * (recoveries + CALLBACKS))) as around:
        for step, size in enumerate(sizes):
            began = time.perf_counter()
            index = around.service.desk.search_index
            written += population.load(around.dynamodb, PREFIX, range(there, size), index)
            there = size
            found[str(size)] = {
                "items": written,
                "load_s": round(time.perf_counter() - began, 1),
                "searches": _searches(around, size),
                **_function(around, _FIRST_MEASURED + 100_000 * step, recoveries),
            }
    return {"sizes": found}


def cores() -> Cores:
    """Return the first core for what is measured, and all of them for DynamoDB Local.

    It is filled on all cores; a search waits for it, so that sharing one costs little.
    """
    every = frozenset(os.sched_getaffinity(0))
    return Cores(frozenset([min(every)]), every)


def _searches(around: ours.Place, size: int) -> list[dict[str, Any]]:
    find = around.service.desk.find
    samples = {name: _sample(size, text) for name, text in KINDS.items()}
    with units.counting(around.dynamodb) as counter, _bound_to(counter.url):
        counted = {
            name: [_counted(find, counter, *one) for one in sample[:COUNTED]]
            for name, sample in samples.items()
        }
    rows = []
    for name, sample in samples.items():
        # The first one of a kind is not counted.
        _search(find, *sample[0])
        with machine.on(around.cores.server):
            rows.append({"search": name, **_times(find, sample), **_units(counted[name])})
    return rows


def _sample(size: int, text: Callable[[Firm], str | None]) -> Sample:
    """Return SEARCHES firms of so many, the same in every run."""
    chance = random.Random(size)
    found: list[tuple[Firm, str]] = []
    while len(found) < SEARCHES:
        one = population.firm(chance.randrange(size))
        typed = text(one)
        if typed is not None:
            found.append((one, typed))
    return found


def _times(find: Find, sample: Sample) -> dict[str, float]:
    began = time.process_time()
    taken = [_timed(find, *one) for one in sample]
    cpu = time.process_time() - began
    return {
        "p50_ms": round(figures.percentile(taken, 0.5), 2),
        "p99_ms": round(figures.percentile(taken, 0.99), 2),
        "cpu_ms": round(1000 * cpu / len(sample), 2),
    }


def _units(counted: Sequence[tuple[units.Units, int]]) -> dict[str, float]:
    return {
        "calls": max(used.calls for used, _ in counted),
        "read_units": round(sum(used.read for used, _ in counted) / len(counted), 1),
        "read_units_most": max(used.read for used, _ in counted),
        "firms": round(sum(firms for _, firms in counted) / len(counted), 1),
    }


def _search(find: Find, wanted: Firm, text: str) -> int:
    """Return the number of firms found. Raises AssertionError where the wanted one is missing."""
    result = find.find(text)
    if not result.more and wanted.facts.firm_no not in {firm.firm_no for firm in result.firms}:
        raise AssertionError(f"{text!r} did not find {wanted.facts.firm_no}")
    return len(result.firms)


def _timed(find: Find, wanted: Firm, text: str) -> float:
    began = time.perf_counter()
    _search(find, wanted, text)
    return (time.perf_counter() - began) * 1000


def _counted(
    find: Find, counter: units.Counter, wanted: Firm, text: str
) -> tuple[units.Units, int]:
    """Return the units of a search, and the number of firms found."""
    before = counter.units
    firms = _search(find, wanted, text)
    return counter.units.minus(before), firms


@contextmanager
def _bound_to(url: str) -> Iterator[None]:
    """Bind this process's models to another address until the block ends."""
    with machine.environment(AWS_ENDPOINT_URL_DYNAMODB=url):
        models.bind(PREFIX)
    try:
        yield
    finally:
        models.bind(PREFIX)


def _function(around: ours.Place, first: int, recoveries: int) -> dict[str, Any]:
    """Measure whole recoveries, and callbacks of persons who follow, beside the filled tables."""
    logins = ours.add_people(recovery.WARM_UP + recoveries + CALLBACKS, first)
    with ours.function(around, "cheap_app.app", beside=ours.CHEAP) as api:
        function = ours.Function(around, api, logins)
        found = recovery.measure({"ours": function}, recoveries)["ours"]
        watch = Watch(function.pids)
        for login in logins[recovery.WARM_UP + recoveries :]:
            flows.play(function, flows.followed, login, watch)
    taken, cpu = watch.wall["callback"][1:], watch.cpu["callback"][1:]
    return {
        "recovery": {name: found[name] for name in ("recoveries", "cpu_ms", "wall_ms")},
        "callback": {**figures.spread(taken), "cpu_ms": round(sum(cpu) / len(cpu), 2)},
    }
