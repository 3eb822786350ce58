"""The protocols that services depend on and the container fulfils."""

from __future__ import annotations

from typing import Protocol


class Count(Protocol):
    """Count `value` events of a metric; each dimension has few values, all defined in this code."""

    def __call__(self, name: str, value: int = 1, /, **dimensions: str) -> None: ...
