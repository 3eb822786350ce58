"""The package as `make package` builds it, once for all tests of a process."""

from __future__ import annotations

import fcntl
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra import package

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "package"


@cache
def folder(partition: str = "aws-cn") -> Path:
    """Where the package of a partition lies."""
    target = CACHE / partition
    CACHE.mkdir(parents=True, exist_ok=True)
    # Chalice keeps what it built in one place, and two builds at once would mix there.
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        package.build(target, partition)
    return target


@cache
def template(partition: str = "aws-cn") -> dict[str, Any]:
    """The packaged template."""
    found: dict[str, Any] = yaml.safe_load((folder(partition) / "sam.yaml").read_text("utf-8"))
    return found
