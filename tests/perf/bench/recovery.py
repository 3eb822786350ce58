"""A whole recovery, ours and the peers', side by side: CPU of the server, wall time, memory.

They take turns in short blocks, so that other load of the machine affects all alike. All have the
same core in turn, and what drives them the others. Ours stores in DynamoDB over HTTP and sends two
SMS over HTTP; the peers write SQLite, and send two mails.

Measured twice. As deployed: each with its own hash of passwords, ours of argon2id with 19 MiB, the
peers with their default, their mail by SMTP. Without hashes: all with hashes that cost nothing,
beside the floor (see `floor`), and each peer also with its mail kept in memory. Proof of work is off:
the peers have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tests.perf.bench import figures, machine
from tests.perf.bench.machine import Watch

WARM_UP = 5
BLOCK = 20


class Service(Protocol):
    """A service that can be measured."""

    @property
    def pids(self) -> list[int]:
        """The server's processes; the last one answers the requests."""

    def recover(self, number: int, watch: Watch) -> None:
        """Make one whole recovery of the person of this number."""


def measure(services: Mapping[str, Service], rounds: int) -> dict[str, Any]:
    """Return the services' figures; each has at least `rounds + WARM_UP` people."""
    watches = {}
    for name, service in services.items():
        for number in range(WARM_UP):
            service.recover(number, Watch(service.pids))
        watches[name] = Watch(service.pids)
    for start in range(0, rounds, BLOCK):
        for name, service in services.items():
            watches[name].resume()
            for number in range(start, min(start + BLOCK, rounds)):
                service.recover(WARM_UP + number, watches[name])
    return {name: _figures(service, watches[name], rounds) for name, service in services.items()}


def _figures(service: Service, watch: Watch, rounds: int) -> dict[str, Any]:
    return {
        "recoveries": rounds,
        "cpu_ms": round(sum(map(sum, watch.cpu.values())) / rounds, 2),
        "wall_ms": round(sum(map(sum, watch.wall.values())) / rounds, 2),
        **machine.memory_mib(service.pids[-1]),
        "steps": {
            step: {
                **figures.spread(taken),
                "cpu": round(sum(watch.cpu[step]) / rounds, 2),
            }
            for step, taken in watch.wall.items()
        },
    }
