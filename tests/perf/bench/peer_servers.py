"""The peers as servers: each behind gunicorn with one worker, its people in a SQLite file.

They are installed by pip, pinned, into an environment of their own below .cache.
"""

from __future__ import annotations

import email
import email.policy
import fcntl
import hashlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from tests.perf.bench import machine
from tests.perf.bench.goals import BY_SMTP, FIRST_RECOVERY
from tests.perf.bench.machine import Cores, Watch
from tests.perf.bench.ours import PASSWORD
from tests.perf.bench.packaging import CACHE
from tests.support.dynamodb_local import free_port

FOLDER = Path(__file__).parent / "peers"

Answer = tuple[int, bytes]

Sample = tuple[float, float, float]
"""Wall and CPU milliseconds of a start, and MiB at the peak."""


def python() -> Path:
    """Return the Python of the peers' environment, which is made if missing. Raises RuntimeError."""
    requirements = FOLDER / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"peers-{digest}"
    command = folder / "bin" / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "peers-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "ready").exists():
            return command
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = ["install", "-q", "--require-hashes", "-r", str(requirements)]
        done = subprocess.run(
            [str(command), "-m", "pip", *install],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(f"the peers were not installed: {done.stderr[-1_000:]}")
        (folder / "ready").touch()
    return command


class Mailbox:
    """An SMTP server's handler that keeps the last mail."""

    def __init__(self) -> None:
        self._taken: list[str] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        """Keep a mail; aiosmtpd calls this for each."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        self._taken.append("" if body is None else body.get_content())
        return "250 OK"

    def last(self) -> str:
        """Return the text of the last mail: it arrives before the request that sends it is answered."""
        text = self._taken[-1]
        self._taken.clear()
        return text


@contextmanager
def _mail_server() -> Iterator[tuple[Mailbox, int]]:
    """Run an SMTP server; yield its handler and its port."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield mailbox, controller.port
    finally:
        controller.stop()


@dataclass
class Peer:
    """A running peer, with the interface that `recovery` measures."""

    port: int
    pids: list[int]
    """The master's and the worker's."""
    mailbox: Mailbox | None = None
    """Where its mail goes; None where it keeps it in memory."""
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request over the one persistent connection."""
        given = {"Accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        self._connection.request(method, path, content, given)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def mail(self, watch: Watch, pattern: str) -> str:
        """Return what the pattern's group matches in the last mail."""
        if self.mailbox is None:
            text = watch.aside(lambda: self.call("GET", "/bench/mail"))[1].decode()
        else:
            text = self.mailbox.last()
        found = re.search(pattern, text)
        if found is None:
            raise AssertionError(f"no code in the mail: {text!r}")
        return found[1]

    def recover(self, number: int, watch: Watch) -> None:
        """Make one whole recovery of the person of this number."""
        raise NotImplementedError

    def begin(self, number: int) -> Answer:
        """Begin the recovery of the person of this number."""
        raise NotImplementedError

    def health(self) -> Answer:
        """Send the cheapest request."""
        return self.call("GET", "/health")


def _right(answer: Answer, *statuses: int) -> bytes:
    status, body = answer
    if status not in statuses:
        raise AssertionError(f"HTTP {status}: {body.decode()[:500]}")
    return body


class Allauth(Peer):
    """django-allauth's headless API for apps: request a code, confirm it, set the password."""

    site = "allauth_site"

    def begin(self, number: int) -> Answer:
        path = "/_allauth/app/v1/auth/password/request"
        return self.call("POST", path, {"email": f"p{number}@bench.example"})

    def recover(self, number: int, watch: Watch) -> None:
        path = "/_allauth/app/v1/auth/password"
        begun = watch("request", lambda: self.begin(number))
        # Its status for "there are steps left".
        session = json.loads(_right(begun, 401))["meta"]["session_token"]
        code = self.mail(watch, r"\b([0-9A-Z]{4}-[0-9A-Z]{4})\b")
        kept = {"X-Session-Token": session}
        checked = watch(
            "code",
            lambda: self.call(
                "GET", f"{path}/reset", headers={**kept, "X-Password-Reset-Key": code}
            ),
        )
        _right(checked, 200)
        done = watch(
            "password",
            lambda: self.call("POST", f"{path}/reset", {"key": code, "password": PASSWORD}, kept),
        )
        # Reset, and not logged in.
        _right(done, 401)
        self.mail(watch, r"(?i)(password)")


class FlaskSecurity(Peer):
    """Flask-Security-Too's JSON API: request a link, open it, set the password."""

    site = "flask_site"

    def begin(self, number: int) -> Answer:
        return self.call("POST", "/reset", {"email": f"p{number}@bench.example"})

    def recover(self, number: int, watch: Watch) -> None:
        _right(watch("request", lambda: self.begin(number)), 200)
        token = self.mail(watch, r"/reset/(\S+)")
        followed = watch("code", lambda: self.call("GET", f"/reset/{token}"))
        _right(followed, 302)
        body = {"password": PASSWORD, "password_confirm": PASSWORD}
        done = watch("password", lambda: self.call("POST", f"/reset/{token}", body))
        _right(done, 200)
        self.mail(watch, r"(?i)(password)")


PEERS: dict[str, type[Allauth] | type[FlaskSecurity]] = {
    "django-allauth": Allauth,
    "Flask-Security-Too": FlaskSecurity,
}


@contextmanager
def filled(
    kind: type[Allauth] | type[FlaskSecurity], people: int, *, cheap_hashes: bool = True
) -> Iterator[dict[str, str]]:
    """Return the environment of a peer whose database has so many people."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": "/usr/bin:/bin",
            "BENCH_DATABASE": str(Path(folder) / "people.sqlite"),
            "BENCH_CHEAP_HASHES": "1" if cheap_hashes else "",
        }
        subprocess.run(
            [str(python()), f"{kind.site}.py", str(people)],
            cwd=FOLDER,
            env=environment,
            check=True,
            timeout=300,
        )
        yield environment


@contextmanager
def _started(
    kind: type[Allauth] | type[FlaskSecurity], environment: dict[str, str], cores: Cores
) -> Iterator[Peer]:
    """Start a peer; it listens, and its worker may not be ready yet."""
    port = free_port()
    with machine.on(cores.server):
        process = subprocess.Popen(
            [
                str(python()),
                "-m",
                "gunicorn",
                "--workers=1",
                # Of the usual workers the one that keeps connections.
                "--worker-class=gthread",
                "--threads=1",
                "--keep-alive=60",
                "--log-level=error",
                f"--bind=127.0.0.1:{port}",
                f"{kind.site}:application",
            ],
            cwd=FOLDER,
            env=environment,
        )
    try:
        _await(port, process)
        yield kind(port, [process.pid])
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running(
    kind: type[Allauth] | type[FlaskSecurity], environment: dict[str, str], cores: Cores
) -> Iterator[Peer]:
    """Run a peer, ready for requests, until the block ends."""
    with _started(kind, environment, cores) as peer:
        # The worker has answered, so it is there.
        _right(peer.health(), 200)
        peer.pids.append(_child(peer.pids[0]))
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

    Each runs twice: its mail kept in memory, and handed over by SMTP.
    """
    with ExitStack() as stack:
        mail_server = stack.enter_context(_mail_server())
        found: dict[str, Peer] = {}
        for name, kind in PEERS.items():
            environment = stack.enter_context(filled(kind, people))
            found[name] = stack.enter_context(running(kind, environment, cores))
            environment = stack.enter_context(filled(kind, people))
            found[name + BY_SMTP] = stack.enter_context(
                _sending(kind, environment, cores, *mail_server)
            )
        yield found


@contextmanager
def deployed(cores: Cores, people: int) -> Iterator[dict[str, Peer]]:
    """Run all peers as they are deployed, by name: default hashes, and mail by SMTP."""
    with ExitStack() as stack:
        mail_server = stack.enter_context(_mail_server())
        found: dict[str, Peer] = {}
        for name, kind in PEERS.items():
            environment = stack.enter_context(filled(kind, people, cheap_hashes=False))
            found[name] = stack.enter_context(_sending(kind, environment, cores, *mail_server))
        yield found


@contextmanager
def _sending(
    kind: type[Allauth] | type[FlaskSecurity],
    environment: dict[str, str],
    cores: Cores,
    mailbox: Mailbox,
    port: int,
) -> Iterator[Peer]:
    """Run a peer that sends its mail by SMTP."""
    with running(kind, {**environment, "BENCH_SMTP_PORT": str(port)}, cores) as peer:
        peer.mailbox = mailbox
        yield peer


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
    kind: type[Allauth] | type[FlaskSecurity],
    environment: dict[str, str],
    cores: Cores,
    recovery: bool,
) -> Callable[[], Sample]:
    """Return what starts a peer whose very first request is for its health, or begins a recovery."""

    def start() -> Sample:
        began = time.perf_counter()
        with _started(kind, environment, cores) as peer:
            answer = peer.begin(0) if recovery else peer.health()
            took = (time.perf_counter() - began) * 1000
            _right(answer, 200, 401)
            peer.pids.append(_child(peer.pids[0]))
            spent = sum(map(machine.cpu_ms, peer.pids))
            return took, spent, machine.memory_mib(peer.pids[-1])["peak_rss_mib"]

    return start
