"""Cold starts: from the start of a process to its first answer.

Ours is the packaged function under Lambda's own runtime client, with an event that waits already;
once more it is started without the byte code that the package holds.
The bare cost is that of `bare`, from the same folder: as a process of its own, and as a function
under the same runtime client. All take turns, and each has the server's core for itself. Figures
are medians in milliseconds; CPU is all that the process used until its first answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench import figures, machine, ours
from tests.bench.machine import Cores
from tests.package import runtime

Start = Callable[[], tuple[float, float, float]]
"""Starts once: wall and CPU milliseconds, and MiB at the peak."""


def starts(around: ours.Place, logins: list[str]) -> dict[str, Start]:
    """Ours and the bare ones, by name."""
    compiled, plain = ours.unpacked(), ours.unpacked(compiled=False)
    for folder in (compiled, plain):
        shutil.copy(Path(__file__).with_name("bare.py"), folder / "runtime" / "bare.py")
    left = iter(logins)

    def health() -> Any:
        return runtime.api_event("GET", "/health")

    def start() -> Any:
        login = next(left)
        cookie = around.cookie(f"o-{login}")
        body = {"user_type": "firm", "login": login}
        return runtime.api_event("POST", "/recovery", body, Cookie=cookie)

    def of(folder: Path, handler: str, event: Callable[[], Any]) -> Start:
        return lambda: _function(around, folder, handler, event())

    return {
        "ours, GET /health": of(compiled, "app.app", health),
        "ours, POST /recovery": of(compiled, "app.app", start),
        "ours without byte code, GET /health": of(plain, "app.app", health),
        "bare process": lambda: _process(around, compiled),
        "bare function": of(compiled, "bare.handler", health),
    }


def _function(
    around: ours.Place, folder: Path, handler: str, event: Any
) -> tuple[float, float, float]:
    environment = {**around.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.perf_counter()
    with runtime.running(folder, handler, environment, around.cores.server) as api:
        answer = api.invoke(event)
        took = (time.perf_counter() - began) * 1000
        spent, memory = machine.cpu_ms(api.pid), machine.memory_mib(api.pid)
    if answer["statusCode"] not in (200, 201):
        raise AssertionError(f"{handler}: {answer}")
    return took, spent, memory["peak_rss_mib"]


def _process(around: ours.Place, folder: Path) -> tuple[float, float, float]:
    environment = {**_bare_environment(around.environment), "PYTHONPATH": str(folder / "task")}
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(folder / "venv" / "bin" / "python"), str(folder / "runtime" / "bare.py")],
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
    """Medians of so many starts of each; `peers` take their turns with ours."""
    with ours.place(cores) as around:
        each = {**starts(around, ours.add_people(rounds + 1)), **(peers or {})}
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in each}
        # The first round fills the system's file cache and is not counted.
        for number in range(rounds + 1):
            for name, start in each.items():
                figure = start()
                if number:
                    taken[name].append(figure)
    return {
        name: {
            "starts": len(samples),
            "wall_ms": figures.median([wall for wall, _, _ in samples]),
            "wall_ms_best": round(min(wall for wall, _, _ in samples), 2),
            "cpu_ms": figures.median([cpu for _, cpu, _ in samples]),
            "peak_rss_mib": figures.median([memory for _, _, memory in samples]),
        }
        for name, samples in taken.items()
    }
