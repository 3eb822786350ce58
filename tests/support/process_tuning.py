"""Pytest plugin: settings of Python and pytest by which the processor spends its time on the tests.

All were found by profiles of whole runs; none changes what a test does.
"""

from __future__ import annotations

import gc
import os

import pytest
from _pytest import runner

_WORDS = 70_000
"""Of 8 bytes: the next power of two leaves some 450 KiB, or 2,000 frames."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test as pytest does, on one large piece of Python's stack.

    Python 3.11 and later keep frames in pieces of 16 KiB, and return a piece to the system as soon as its
    first frame ends. Where a loop calls functions across the end of a piece, each call maps and unmaps
    memory. A test, its service, botocore and moto are a hundred frames and more: a quarter of the time of
    many tests. A frame that needs much room gets a piece of its own, which the frames above it share.
    """
    return runner.pytest_runtest_protocol(item, nextitem)


_code = pytest_runtest_protocol.__code__
pytest_runtest_protocol.__code__ = _code.replace(co_stacksize=_WORDS)


def pytest_collection_finish() -> None:
    """Except everything that is imported by now from garbage collections, which are frequent.

    Modules and descriptions of services are a million objects that each full collection visits.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run three processes for two cores, of which one in six seconds would be idle.

    Tests in a browser wait for it, and others for processes that they start.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) * 3 // 2
