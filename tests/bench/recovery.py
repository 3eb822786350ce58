"""A whole recovery, ours and the peers', side by side: CPU of the server, wall time, memory.

They take turns in short blocks, so that what else the machine does strikes all alike. All have the
same core in turn, and what drives them the others. Ours and the peers are set to password hashes that
cost nothing. Ours stores in DynamoDB over HTTP and hands two SMS over HTTP; the peers write SQLite, and
two mails that they keep in memory or, as they do at work, hand over by SMTP. Proof of work is off: the
peers have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tests.bench import figures, machine
from tests.bench.machine import Watch

WARM_UP = 5
BLOCK = 20


class Service(Protocol):
    """What can be measured."""

    @property
    def pids(self) -> list[int]:
        """The server's processes; the last one is that which answers."""

    def recover(self, number: int, watch: Watch) -> None:
        """One whole recovery of the person of this number."""


def measure(services: Mapping[str, Service], rounds: int) -> dict[str, Any]:
    """The services' figures; each has at least `rounds + WARM_UP` people."""
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
        **machine.memory_mib(service.pids[-1]),
        "steps": {
            step: {
                **figures.spread(taken),
                "cpu": round(sum(watch.cpu[step]) / rounds, 2),
            }
            for step, taken in watch.wall.items()
        },
    }
