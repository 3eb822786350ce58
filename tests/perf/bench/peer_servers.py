"""The peers as servers, each one process on the measured core, with its people in a SQLite file.

django-allauth and Flask-Security-Too run behind gunicorn with one worker, better-auth under Node.js.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.controller import Controller

from tests.perf.bench import machine, peer_packages
from tests.perf.bench.goals import BY_HTTP, BY_SMTP, FIRST_RECOVERY
from tests.perf.bench.machine import Cores
from tests.perf.bench.peer_clients import (
    Allauth,
    BetterAuth,
    FlaskSecurity,
    Mailbox,
    Peer,
    expect,
)
from tests.perf.bench.peer_packages import FOLDER
from tests.support import http_server
from tests.support.dynamodb_local import free_port

Sample = tuple[float, float, float]
"""Wall and CPU milliseconds of a start, and MiB at the peak."""


@dataclass(frozen=True)
class Kind:
    """A peer: what starts its processes, and how its messages are handed over."""

    client: type[Peer]
    fill: Callable[[int], list[str]]
    """Returns the command that makes the database of so many people."""
    serve: Callable[[int], list[str]]
    """Returns the command that serves it on a port."""
    handed_over: str
    """BY_SMTP or BY_HTTP."""
    has_worker: bool
    """Whether a child of the process answers the requests."""


def _gunicorn(client: type[Peer]) -> Kind:
    def serve(port: int) -> list[str]:
        return [
            str(peer_packages.python()),
            "-m",
            "gunicorn",
            "--workers=1",
            # Of the usual workers the one that keeps connections.
            "--worker-class=gthread",
            "--threads=1",
            "--keep-alive=60",
            "--log-level=error",
            f"--bind=127.0.0.1:{port}",
            f"{client.site}:application",
        ]

    def fill(people: int) -> list[str]:
        return [str(peer_packages.python()), f"{client.site}.py", str(people)]

    return Kind(client, fill, serve, BY_SMTP, has_worker=True)


def _node(client: type[Peer]) -> Kind:
    def command(*arguments: str) -> list[str]:
        return [peer_packages.node(), str(peer_packages.node_site(client.site)), *arguments]

    return Kind(
        client,
        lambda people: command("fill", str(people)),
        lambda port: command("serve", str(port)),
        BY_HTTP,
        has_worker=False,
    )


PEERS: Mapping[str, Kind] = {
    "django-allauth": _gunicorn(Allauth),
    "Flask-Security-Too": _gunicorn(FlaskSecurity),
    "better-auth": _node(BetterAuth),
}


@dataclass(frozen=True)
class Receiver:
    """What messages are handed over to: the peer's environment, and the last one's text."""

    environment: Mapping[str, str]
    last: Callable[[], str]


@contextmanager
def _receivers() -> Iterator[dict[str, Receiver]]:
    """Run an SMTP server and an SMS endpoint in this process; yield both by how a peer hands over."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    with http_server.serving(lambda _: (200, b'{"id":"m1"}')) as phones:

        def last_sms() -> str:
            return phones.received[-1].body.decode()

        controller.start()
        try:
            yield {
                BY_SMTP: Receiver({"BENCH_SMTP_PORT": str(controller.port)}, mailbox.last),
                BY_HTTP: Receiver({"BENCH_SMS_URL": phones.url}, last_sms),
            }
        finally:
            controller.stop()


@contextmanager
def filled(kind: Kind, people: int, *, cheap_hashes: bool = True) -> Iterator[dict[str, str]]:
    """Return the environment of a peer whose database has so many people."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": "/usr/bin:/bin",
            "NODE_ENV": "production",
            "BENCH_DATABASE": str(Path(folder) / "people.sqlite"),
            "BENCH_CHEAP_HASHES": "1" if cheap_hashes else "",
        }
        subprocess.run(kind.fill(people), cwd=FOLDER, env=environment, check=True, timeout=300)
        yield environment


@contextmanager
def _started(kind: Kind, environment: Mapping[str, str], cores: Cores) -> Iterator[Peer]:
    """Start a peer; it listens, and its worker may not be ready yet."""
    port = free_port()
    command = kind.serve(port)
    with machine.on(cores.server):
        process = subprocess.Popen(command, cwd=FOLDER, env=dict(environment))
    try:
        _await(port, process)
        yield kind.client(port, [process.pid])
    finally:
        process.terminate()
        process.wait(30)


def _answered(kind: Kind, peer: Peer) -> None:
    """Count the worker's CPU as well, from its start on: it has answered, so it is there."""
    if kind.has_worker:
        peer.pids.append(_child(peer.pids[0]))


@contextmanager
def running(
    kind: Kind, environment: Mapping[str, str], cores: Cores, receiver: Receiver | None = None
) -> Iterator[Peer]:
    """Run a peer, ready for requests, until the block ends; without a receiver it keeps its messages."""
    given = {**environment, **(receiver.environment if receiver else {})}
    with _started(kind, given, cores) as peer:
        peer.last_message = receiver.last if receiver else None
        expect(peer.health(), 200)
        _answered(kind, peer)
        yield peer


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(15_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise AssertionError("the peer did not start")
        time.sleep(0.002)
    raise AssertionError("the peer did not start in time")


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()[0])


@contextmanager
def serving(cores: Cores, people: int) -> Iterator[dict[str, Peer]]:
    """Run all peers with cheap hashes and so many people each, by name, until the block ends.

    Each runs twice: its messages kept in memory, and handed over.
    """
    with ExitStack() as stack:
        receivers = stack.enter_context(_receivers())
        found: dict[str, Peer] = {}
        for name, kind in PEERS.items():
            environment = stack.enter_context(filled(kind, people))
            found[name] = stack.enter_context(running(kind, environment, cores))
            environment = stack.enter_context(filled(kind, people))
            found[name + kind.handed_over] = stack.enter_context(
                running(kind, environment, cores, receivers[kind.handed_over])
            )
        yield found


@contextmanager
def deployed(cores: Cores, people: int) -> Iterator[dict[str, Peer]]:
    """Run all peers as they are deployed, by name: default hashes, and messages handed over."""
    with ExitStack() as stack:
        receivers = stack.enter_context(_receivers())
        found: dict[str, Peer] = {}
        for name, kind in PEERS.items():
            environment = stack.enter_context(filled(kind, people, cheap_hashes=False))
            found[name] = stack.enter_context(
                running(kind, environment, cores, receivers[kind.handed_over])
            )
        yield found


@contextmanager
def starts(cores: Cores) -> Iterator[dict[str, Callable[[], Sample]]]:
    """What starts each peer once, by name, with the interface that `cold` measures."""
    with ExitStack() as stack:
        found: dict[str, Callable[[], Sample]] = {}
        for name, kind in PEERS.items():
            environment = stack.enter_context(filled(kind, 10))
            found[f"{name}, GET /health"] = _start(kind, environment, cores, False)
            found[f"{name}{FIRST_RECOVERY}"] = _start(kind, environment, cores, True)
        yield found


def _start(
    kind: Kind, environment: dict[str, str], cores: Cores, recovery: bool
) -> Callable[[], Sample]:
    """Return what starts a peer whose very first request is for its health, or begins a recovery."""

    def start() -> Sample:
        began = time.perf_counter()
        with _started(kind, environment, cores) as peer:
            answer = peer.begin(0) if recovery else peer.health()
            took = (time.perf_counter() - began) * 1000
            expect(answer, 200, 401)
            _answered(kind, peer)
            spent = sum(map(machine.cpu_ms, peer.pids))
            return took, spent, machine.memory_mib(peer.pids[-1])["peak_rss_mib"]

    return start
