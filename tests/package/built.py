"""The package as `make package` builds it, built once for all tests."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from infra.deploy import archive, package

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "package"


WITH_ZIP = "aws-cn"
"""The partition whose folder has the zip; the others have their template alone."""

# What a package is made of.
_SOURCES = ("app.py", "requirements.txt", ".chalice", "chalicelib", "infra")


@cache
def folder(partition: str = WITH_ZIP) -> Path:
    """Return the folder of a partition's package, which is built once for the current sources.

    Only that of `WITH_ZIP` has the zip.
    """
    target = CACHE / f"{partition}-{_digest()}"
    CACHE.mkdir(parents=True, exist_ok=True)
    # Chalice keeps what it built in one place, and two builds at once would mix there.
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            for old in CACHE.glob(f"{partition}-" + "?" * 16):
                shutil.rmtree(old)
            staging = CACHE / "staging"
            shutil.rmtree(staging, ignore_errors=True)
            _build(staging, partition)
            staging.rename(target)
    return target


def _build(target: Path, partition: str) -> None:
    if partition == WITH_ZIP:
        package.build(target, partition)
        return
    # The zip is the same for every partition, and to finish it again is most of a build.
    with patch.object(archive, "finish"):
        package.build(target, partition)
    (target / "deployment.zip").unlink()


def _digest() -> str:
    found = hashlib.sha256(sys.version.encode())
    for source in _SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix != ".pyc" and "deployments" not in file.parts:
                found.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]


@cache
def template(partition: str = WITH_ZIP) -> dict[str, Any]:
    """Return the packaged template."""
    found: dict[str, Any] = yaml.safe_load((folder(partition) / "sam.yaml").read_text("utf-8"))
    return found
