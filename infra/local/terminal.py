"""Output that never waits: whoever started the twin may have stopped reading it."""

from __future__ import annotations

import io
import queue
import threading
from typing import TextIO

_ROOM = 10_000
"""Pieces that wait to be written; beyond it, new ones are dropped."""


class Unhurried(io.TextIOBase):
    """A text stream that hands on to another one in the background.

    A full pipe would otherwise stop the thread that prints, and with it the service.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pieces: queue.Queue[str | None] = queue.Queue(_ROOM)
        self._thread = threading.Thread(target=self._hand_on, daemon=True)
        self._thread.start()

    def _hand_on(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                self._stream.write(piece)
                if self._pieces.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads any more.
                continue

    def write(self, text: str) -> int:
        try:
            self._pieces.put_nowait(text)
        except queue.Full:
            return 0
        return len(text)

    def finish(self) -> None:
        """Wait a moment for what is left."""
        try:
            self._pieces.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(1)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
