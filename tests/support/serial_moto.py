"""Serialize the requests to moto, whose tables are not safe for concurrent threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber


@pytest.fixture
def serial_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one request at a time into moto."""
    guard = threading.Lock()
    original = BotocoreStubber.process_request

    def process_request(self: BotocoreStubber, request: Any) -> Any:
        with guard:
            return original(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", process_request)
