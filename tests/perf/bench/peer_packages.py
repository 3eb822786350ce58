"""The peers' packages, pinned with hashes, each kind in an environment of its own below .cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.perf.bench.packaging import CACHE

FOLDER = Path(__file__).parent / "peers"
"""The peers' sites, and the pins of their packages."""


def python() -> Path:
    """Return the Python of the peers' environment, which is made if missing. Raises RuntimeError."""
    requirements = FOLDER / "requirements.txt"
    folder = CACHE / f"peers-{_digest(requirements)}"
    command = folder / "bin" / "python"
    with _exclusively():
        if (folder / "ready").exists():
            return command
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = ["-m", "pip", "install", "-q", "--require-hashes", "-r", str(requirements)]
        _run([str(command), *install], folder)
        (folder / "ready").touch()
    return command


def node() -> str:
    """Return the command of Node.js. Raises RuntimeError."""
    return _found("node")


def node_site(script: str) -> Path:
    """Return a copy of a script of FOLDER beside its packages, which are installed if missing.

    Node.js searches the packages from the script's folder upwards. Raises RuntimeError.
    """
    lock = FOLDER / "package-lock.json"
    folder = CACHE / f"node-peers-{_digest(lock)}"
    with _exclusively():
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as place:
                staging = Path(place) / "site"
                staging.mkdir()
                for file in ("package.json", lock.name):
                    shutil.copy(FOLDER / file, staging)
                # Scripts of packages are not run; the one native library is a package of its own.
                quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
                _run([_found("npm"), "ci", *quiet], staging)
                # Renamed whole: a run that is killed leaves nothing half installed.
                staging.rename(folder)
        shutil.copy(FOLDER / script, folder)
    return folder / script


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@contextmanager
def _exclusively() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "peers-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _found(command: str) -> str:
    path = shutil.which(command)
    if path is None:
        raise RuntimeError(
            f"{command} is not installed: the peer better-auth needs Node.js and npm"
        )
    return path


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"the peers were not installed: {done.stderr[-1_000:]}")
