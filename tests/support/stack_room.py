"""Pytest plugin: one large piece of Python's stack for each test.

Python 3.11 and later keep frames in pieces of 16 KiB, and return a piece to the system as soon as its
first frame ends. Where a loop calls functions across the end of a piece, each call maps and unmaps memory.
A test, its service, botocore and moto are a hundred frames and more, so that a quarter of the time of
many tests went there. A frame that needs much room gets a piece of its own, twice as large or more, and
the frames above it use the rest.
"""

from __future__ import annotations

import pytest
from _pytest import runner

_WORDS = 70_000
"""Of 8 bytes: the next power of two leaves some 450 KiB, or 2,000 frames."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test as pytest does."""
    return runner.pytest_runtest_protocol(item, nextitem)


_code = pytest_runtest_protocol.__code__
pytest_runtest_protocol.__code__ = _code.replace(co_stacksize=_WORDS)
