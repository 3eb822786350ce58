"""The local stack as a process of its own, as `make run` starts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from infra.deploy.package import ROOT


@contextmanager
def running(*arguments: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the address of a local stack on a free port, with further arguments."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                break
        else:
            pytest.fail("the local stack did not start")
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
