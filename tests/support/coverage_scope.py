"""Pytest plugin: measure no coverage while tests run that repeat the paths of other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# These repeat the paths of the other folders hundreds of times, compare durations, run code whose
# lines are changed, or run the program in a process of its own. Tracing adds two fifths to the time
# of a test, and here it would add next to nothing to the figure.
UNMEASURED = frozenset({"browser", "fault_injection", "package", "security", "stateful"})


def is_measured(item: pytest.Item) -> bool:
    """Return whether the test is in a measured folder and no property test.

    A property test runs its function a hundred times or more.
    """
    folder = item.path.relative_to(TESTS).parts[0]
    function = getattr(item, "function", None)
    return folder not in UNMEASURED and not getattr(function, "is_hypothesis_test", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Pause pytest-cov for an unmeasured test and its fixtures."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    if controller is None or is_measured(item):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()
