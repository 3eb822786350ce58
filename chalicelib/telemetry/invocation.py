"""One call of a function: its correlation id, what it was given in secret, what it counted."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Figure = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name, and its dimensions in order."""

_UNSAFE = re.compile(r"[^0-9A-Za-z_.:=-]")


class Invocation:
    """What the lines and the figures of one call have in common."""

    def __init__(
        self,
        correlation_id: str,
        request_id: str,
        given: Callable[[], Iterable[str]],
    ) -> None:
        """`given` finds the secrets among what the caller sent; asked when a line is written."""
        self.correlation_id = _UNSAFE.sub("", correlation_id)[:64]
        self.request_id = _UNSAFE.sub("", request_id)[:64]
        self._given = given
        self._found: frozenset[str] | None = None
        self._held: list[str] = []
        self._all: tuple[int, frozenset[str]] = (-1, frozenset())
        self._counts: Counter[Figure] = Counter()
        self._lock = threading.Lock()
        self._ended = False

    def redact(self, secrets: Iterable[str]) -> None:
        """Keep further secrets out of this call's lines."""
        self._held.extend(secrets)

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that no line of this call may show."""
        if self._found is None:
            self._found = frozenset(self._given())
        # What is held only grows, so that its number tells whether anything has come.
        number = len(self._held)
        known, found = self._all
        if known != number:
            found = self._found.union(self._held[:number])
            self._all = (number, found)
        return found

    def add(self, figure: Figure, value: int) -> bool:
        """Count; False where the call has ended and its figures are out."""
        with self._lock:
            if not self._ended:
                self._counts[figure] += value
            return not self._ended

    def end(self) -> dict[Figure, int]:
        """What was counted; nothing more is taken from now on."""
        with self._lock:
            self._ended = True
            return dict(self._counts)


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """The call that this context belongs to; None outside of any."""
    return _current.get()


def correlation_id() -> str | None:
    """The id that joins this call's lines, figures and outgoing messages; None outside of any."""
    invocation = _current.get()
    return None if invocation is None else invocation.correlation_id


def redact(*secrets: str) -> None:
    """Keep these texts out of the lines of the call that this context belongs to."""
    invocation = _current.get()
    if invocation is not None:
        invocation.redact(secrets)


@contextmanager
def begun(invocation: Invocation) -> Iterator[Invocation]:
    """Make the call the current one."""
    token = _current.set(invocation)
    try:
        yield invocation
    finally:
        _current.reset(token)


@contextmanager
def redacting(secrets: Iterable[str]) -> Iterator[None]:
    """Keep these texts out of the lines of the block, which need not belong to any call."""
    found, around = list(secrets), current()
    invocation = Invocation(
        correlation_id() or "",
        "" if around is None else around.request_id,
        lambda: [*found, *(() if around is None else around.secrets)],
    )
    # It counts nothing: what is counted within is written at once, as outside of any call.
    invocation.end()
    with begun(invocation):
        yield
