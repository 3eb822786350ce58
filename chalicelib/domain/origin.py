"""The origin of the current request, which every audit event contains: its id and its requester."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Origin:
    """Where a request came from, without personal data."""

    request_id: str | None = None
    """The correlation id, as in the log lines; None outside a request."""
    requester: str | None = None
    """The keyed digest of the visitor (`security.requesters`); None until a handler has set it."""


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin:
    """Return the origin of this context's request; an empty one outside a request."""
    return _current.get() or Origin()


def set_requester(mark: str) -> None:
    """Store the requester of this context's request; no effect outside a request."""
    origin = _current.get()
    if origin is not None:
        origin.requester = mark


@contextmanager
def begun(request_id: str | None) -> Iterator[None]:
    """Make a request with this id the current one until the block ends."""
    token = _current.set(Origin(request_id or None))
    try:
        yield
    finally:
        _current.reset(token)
