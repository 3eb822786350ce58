"""Output that never blocks: the reader of a pipe may have stopped reading."""

from __future__ import annotations

import io
import queue
import threading
from typing import TextIO

_QUEUE_SIZE = 10_000
"""Maximum number of texts waiting to be written; further ones are dropped."""


class BackgroundWriter(io.TextIOBase):
    """A text stream that writes to another one from a background thread.

    A full pipe would otherwise block the thread that prints, and with it the service.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._texts: queue.Queue[str | None] = queue.Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        while (text := self._texts.get()) is not None:
            try:
                self._stream.write(text)
                if self._texts.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # The reader is gone.
                continue

    def write(self, text: str) -> int:
        try:
            self._texts.put_nowait(text)
        except queue.Full:
            return 0
        return len(text)

    def finish(self) -> None:
        """Wait up to two seconds for the remaining output."""
        try:
            self._texts.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(1)

    def isatty(self) -> bool:
        return self._stream.isatty()
