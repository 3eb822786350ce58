"""The yearly reset's worker compared with bare argon2, and the memory of planning and working."""

from __future__ import annotations

import os
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import boto3
from moto import mock_aws

from chalicelib import runtime
from chalicelib.handlers.yearly_reset import AT_ONCE
from chalicelib.security.password_hasher import PasswordHasher
from infra.deploy.tables import create_tables
from tests.support import yearly_reset
from tests.support.yearly_reset import YEAR, ResetWorld, add_logins

ROUNDS = 4


@contextmanager
def _world(dynamodb_url: str) -> Iterator[ResetWorld]:
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb_url
    prefix = f"t{uuid.uuid4().hex[:8]}"
    try:
        create_tables(boto3.client("dynamodb"), prefix)
        with mock_aws(config={"core": {"mock_credentials": False}}), runtime.using(None):
            yield yearly_reset.make(prefix)
    finally:
        del os.environ["AWS_ENDPOINT_URL_DYNAMODB"]


@contextmanager
def on_one_core() -> Iterator[list[int] | None]:
    """Keep this process on its first core until the block ends; yield the other cores, None if none."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1:
        yield None
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    try:
        yield cores[1:]
    finally:
        os.sched_setaffinity(0, cores)


def measure(dynamodb_url: str, logins: int = 1_200) -> dict[str, Any]:
    """Logins a second of one worker, and argon2 hashes a second of as many threads; interleaved.

    CPU seconds are of this process, so that DynamoDB Local's own work is left out of them.
    """
    with _world(dynamodb_url) as world:
        hasher = PasswordHasher({1: b"p" * 32})
        world.world.service.hasher = hasher
        add_logins(logins)
        story = world.story
        story.start(YEAR, "bench")
        chunks = [chunk.part for chunk in world.story._runs.chunks(YEAR)]
        share = max(1, len(chunks) // ROUNDS)
        spent = {"worker": [0.0, 0.0], "argon2": [0.0, 0.0]}
        worked = 0
        for start in range(0, share * ROUNDS, share):
            part = chunks[start : start + share]
            before = _accounted(world)
            with _timed(spent["worker"]), ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda name: story.process({"year": YEAR, "chunk": name}), part))
            count = _accounted(world) - before
            worked += count
            with _timed(spent["argon2"]), ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(hasher.hash, ["010123X"] * count))
    rates = {name: round(worked / wall, 1) for name, (wall, _) in spent.items()}
    cpu = {name: round(1_000 * took / worked, 2) for name, (_, took) in spent.items()}
    return {
        "logins": worked,
        "threads": AT_ONCE,
        "logins_per_second": rates["worker"],
        "hashes_per_second": rates["argon2"],
        "ratio": round(rates["worker"] / rates["argon2"], 3),
        "cpu_ms_per_login": cpu["worker"],
        "cpu_ms_per_hash": cpu["argon2"],
        "cpu_ratio": round(cpu["argon2"] / cpu["worker"], 3),
    }


def measure_memory(dynamodb_url: str, sizes: tuple[int, ...] = (1_000, 10_000)) -> dict[str, Any]:
    """Peak of what planning, and working one chunk, hold in Python's memory, by number of logins."""
    peaks: dict[str, dict[str, int]] = {}
    with _world(dynamodb_url) as world:
        world.story._queue._made = _Sink()
        there = 0
        for number, size in enumerate(sizes):
            add_logins(size - there, first=21_000_000 + there)
            there = size
            year = YEAR - number
            tracemalloc.start()
            world.story.start(year, "bench")
            plan = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            world.story.process({"year": year, "chunk": "chunk#00000000"})
            work = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            peaks[str(size)] = {"plan_kib": plan // 1_024, "work_kib": work // 1_024}
    return {"logins": peaks}


class _Sink:
    """An SQS client that drops its messages.

    moto would keep them in this process, where their memory would count as the planning's.
    """

    def send_message_batch(self, **_: Any) -> dict[str, Any]:
        return {}


def _accounted(world: ResetWorld) -> int:
    run = world.story.status(YEAR)
    return 0 if run is None else run.done


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into[0] += time.perf_counter() - wall
    into[1] += time.process_time() - cpu
