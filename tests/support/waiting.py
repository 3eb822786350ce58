"""Wait for what another thread or process does."""

from __future__ import annotations

import threading
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: int = 60) -> None:
    """Return once the condition holds. Raises AssertionError after `seconds`, which no test takes."""
    pause = threading.Event()
    for _ in range(seconds * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"nothing happened within {seconds} s")
