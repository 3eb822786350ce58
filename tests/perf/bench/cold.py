"""Cold starts: from the start of a process to its first response."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.package import runtime
from tests.perf.bench import figures, machine, ours, packaging
from tests.perf.bench.goals import FIRST_RECOVERY
from tests.perf.bench.machine import Cores

Sample = tuple[float, float, float]
"""Wall and CPU milliseconds, and MiB at the peak."""

Start = Callable[[], Sample]
"""Starts once."""


def starts(around: ours.Place, logins: list[str]) -> dict[str, Start]:
    """Return ours and the bare ones, by name; each start of a recovery takes one of the logins."""
    left = iter(logins)

    def health() -> Any:
        return runtime.api_event("GET", "/health")

    def recovery() -> Any:
        login = next(left)
        cookie = around.cookie(f"o-{login}")
        return runtime.api_event("POST", "/recovery", ours.named(login), Cookie=cookie)

    variants = {
        _variant(name): lambda name=name: _function(around, recovery(), variant=name)
        for name in packaging.VARIANTS
        if name != packaging.AS_BUILT
    }
    return {
        "ours, GET /health": lambda: _function(around, health()),
        f"ours{FIRST_RECOVERY}": lambda: _function(around, recovery()),
        f"ours{FIRST_RECOVERY}, provisioned": lambda: _provisioned(around, recovery()),
        **variants,
        "bare process": lambda: _process(around),
        "bare function": lambda: _function(around, health(), "bare.handler"),
    }


def _variant(name: str) -> str:
    return f"ours {name}{FIRST_RECOVERY}"


@contextmanager
def _running(around: ours.Place, handler: str, variant: str) -> Iterator[runtime.RuntimeApi]:
    beside = ours.MINIMAL if handler == "bare.handler" else None
    # Lambda's own folder cannot be written.
    with ours.function(
        around, handler, beside=beside, variant=variant, PYTHONDONTWRITEBYTECODE="1"
    ) as api:
        yield api


def _function(
    around: ours.Place, event: Any, handler: str = "app.app", variant: str = packaging.AS_BUILT
) -> Sample:
    began = time.perf_counter()
    with _running(around, handler, variant) as api:
        answer = api.invoke(event)
        took = (time.perf_counter() - began) * 1000
        spent, memory = machine.cpu_ms(api.pid), machine.memory_mib(api.pid)
    _succeeded(handler, answer)
    return took, spent, memory["peak_rss_mib"]


def _provisioned(around: ours.Place, event: Any) -> Sample:
    """Time the first request of an initialised function, as with provisioned concurrency."""
    with _running(around, "app.app", packaging.AS_BUILT) as api:
        api.await_initialised()
        before = machine.cpu_ms(api.pid)
        began = time.perf_counter()
        answer = api.invoke(event)
        took = (time.perf_counter() - began) * 1000
        spent, memory = machine.cpu_ms(api.pid) - before, machine.memory_mib(api.pid)
    _succeeded("provisioned", answer)
    return took, spent, memory["peak_rss_mib"]


def _succeeded(name: str, answer: dict[str, Any]) -> None:
    if answer["statusCode"] not in (200, 201):
        raise AssertionError(f"{name}: {answer}")


def _process(around: ours.Place) -> Sample:
    folder = packaging.unpacked()
    paths = [str(folder / "task"), *packaging.missing_libraries(folder)]
    environment = {**_bare_environment(around.environment), "PYTHONPATH": ":".join(paths)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(folder / "venv" / "bin" / "python"), str(ours.MINIMAL / "bare.py")],
        cwd=folder / "task",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    os.sched_setaffinity(process.pid, around.cores.server)
    try:
        if process.stdout is None or process.stdout.read(1) != b"1":
            raise AssertionError("the bare process failed")
        took = (time.perf_counter() - began) * 1000
        return took, machine.cpu_ms(process.pid), machine.memory_mib(process.pid)["peak_rss_mib"]
    finally:
        process.kill()
        process.communicate()


def _bare_environment(given: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: value for name, value in given.items() if name.startswith("AWS_")},
    }


def measure(cores: Cores, rounds: int, peers: Mapping[str, Start] | None = None) -> dict[str, Any]:
    """Return medians of so many starts of each; `peers` alternate with ours."""
    # Unpacked before anything is timed.
    for variant in packaging.VARIANTS:
        packaging.unpacked(variant)
    recoveries = len(packaging.VARIANTS) + 1
    with ours.place(cores) as around:
        logins = ours.add_people(recoveries * (rounds + 1))
        each = {**starts(around, logins), **(peers or {})}
        taken: dict[str, list[Sample]] = {name: [] for name in each}
        # The first round fills the system's file cache and is not counted.
        for number in range(rounds + 1):
            for name, start in each.items():
                sample = start()
                if number:
                    taken[name].append(sample)
    return {name: _figures(samples) for name, samples in taken.items()}


def _figures(samples: list[Sample]) -> dict[str, Any]:
    return {
        "starts": len(samples),
        "wall_ms": figures.median([wall for wall, _, _ in samples]),
        "wall_ms_best": round(min(wall for wall, _, _ in samples), 2),
        "cpu_ms": figures.median([cpu for _, cpu, _ in samples]),
        "peak_rss_mib": figures.median([memory for _, _, memory in samples]),
    }


def packages(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the effect of each packaging measure: the zip, and the cold first recovery."""
    rows = []
    for variant in packaging.VARIANTS:
        as_built = variant == packaging.AS_BUILT
        start = found[f"ours{FIRST_RECOVERY}" if as_built else _variant(variant)]
        rows.append(
            {
                "package": variant,
                "zip_mb": packaging.zip_mb(packaging.unpacked(variant)),
                "wall_ms": start["wall_ms"],
                "cpu_ms": start["cpu_ms"],
            }
        )
    return rows
