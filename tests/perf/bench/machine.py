"""Processor time and memory of processes, and their cores."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cores:
    """The cores of each process: the measured server has its own if there are several."""

    server: frozenset[int]
    others: frozenset[int]


@contextmanager
def divided() -> Iterator[Cores]:
    """Keep this process off the first core, which is the measured server's, until the block ends.

    Threads and processes that begin within the block are kept off as well.
    """
    cores = sorted(os.sched_getaffinity(0))
    first, others = frozenset(cores[:1]), frozenset(cores[1:] or cores)
    os.sched_setaffinity(0, others)
    try:
        yield Cores(first, others)
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def on(cores: Collection[int]) -> Iterator[None]:
    """Run this thread on these cores until the block ends."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set these variables of this process's environment until the block ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def cpu_ms(pid: int) -> float:
    """CPU that a process has used since it began, user and system, of all its threads, ended ones too.

    The same as utime + stime in /proc/PID/stat, but in nanoseconds in place of ticks of 10 ms:
    clock_getcpuclockid(3), which Python lacks.
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def memory_mib(pid: int) -> dict[str, float]:
    """Return a process's resident memory: now, and at its peak."""
    found = {}
    for text in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, value = text.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = round(int(value.split()[0]) / 1024, 1)
    return {"rss_mib": found["VmRSS"], "peak_rss_mib": found["VmHWM"]}


class Watch:
    """Wall and CPU of a server's steps, in milliseconds.

    A step's CPU is counted from the end of the step before it: what a server still does after its
    answer is not lost, and the steps add up to the whole.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = tuple(pids)
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}
        self._last = 0.0
        self.resume()

    def resume(self) -> None:
        """Forget what the server used since the last step."""
        self._last = sum(map(cpu_ms, self._pids))

    def __call__(self, step: str, call: Callable[[], T]) -> T:
        """Time a call to the server."""
        began = time.perf_counter()
        answer = call()
        self.wall.setdefault(step, []).append((time.perf_counter() - began) * 1000)
        now = sum(map(cpu_ms, self._pids))
        self.cpu.setdefault(step, []).append(now - self._last)
        self._last = now
        return answer

    def aside(self, call: Callable[[], T]) -> T:
        """Call the server for something that is not measured."""
        answer = call()
        self.resume()
        return answer
