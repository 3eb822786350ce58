"""What the local stack prints: in time, in order, and whoever reads it."""

from __future__ import annotations

import io
import logging
import os
import queue
import threading
from typing import Any

import pytest

from infra.local import command
from infra.local.seeding import CannotStart
from infra.local.terminal import BackgroundWriter


def test_a_full_pipe_blocks_no_thread() -> None:
    """What is read in time is complete and in order."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as unread, os.fdopen(writing, "w") as stream:
        before = set(threading.enumerate())
        writer = BackgroundWriter(stream)
        (thread,) = set(threading.enumerate()) - before
        for number in range(20_000):
            print(f"{number:07d}", file=writer)
        os.set_blocking(reading, False)
        first = unread.read(8 * 1_000).decode().split()
        assert first == [f"{number:07d}" for number in range(1_000)]
        while thread.is_alive():
            unread.read()
            writer.finish()


def test_a_reader_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the thread that writes nor the one that waits for the end."""

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    def full(*_: object, **__: object) -> None:
        raise queue.Full

    writer = BackgroundWriter(Gone())
    assert writer.write("lost") == 4
    writer.finish()
    assert not writer._thread.is_alive()
    monkeypatch.setattr(writer._texts, "put", full)
    writer.finish()


def test_an_error_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; the log's lines of information are shown there as well."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def refuse(*_: object) -> None:
        raise CannotStart("port 1 is taken")

    monkeypatch.setattr("infra.local.stack.LocalStack", refuse)
    monkeypatch.setattr("infra.local.stack.Options", dict)
    monkeypatch.setattr(logging.getLogger("infra.local"), "level", logging.NOTSET)
    shown: Any = Terminal()
    signals: Any = None
    assert command._run(signals, shown) == 2
    assert shown.getvalue() == "error: port 1 is taken\n"
    assert logging.getLogger("infra.local").level == logging.INFO
