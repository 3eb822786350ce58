"""The port by which stories count what operators watch."""

from __future__ import annotations

from typing import Protocol


class Count(Protocol):
    """Counts events of a name; dimensions take few values, all of them words of ours."""

    def __call__(self, name: str, value: int = 1, /, **dimensions: str) -> None: ...
