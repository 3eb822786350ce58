"""The context of one Lambda invocation: its ids, the secrets to hide, its metric counts."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Figure = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name and its dimensions, pairs of name and value in order."""

ALARM = "Alarm"
"""The metric that counts log lines which operators must look at."""

_UNSAFE = re.compile(r"[^0-9A-Za-z_.:=-]")


class Invocation:
    """State that the log lines and metrics of one invocation share."""

    def __init__(
        self,
        correlation_id: str,
        request_id: str,
        find_secrets: Callable[[], Iterable[str]],
    ) -> None:
        """`find_secrets` returns the secrets in the request; called when a line is first written.

        Unsafe characters are removed from both ids, which are cut to 64 characters.
        """
        self.correlation_id = _UNSAFE.sub("", correlation_id)[:64]
        self.request_id = _UNSAFE.sub("", request_id)[:64]
        self._find_secrets = find_secrets
        self._request_secrets: frozenset[str] | None = None
        self._added_secrets: list[str] = []
        # The number of added secrets, and all secrets with that number.
        self._cached_secrets: tuple[int, frozenset[str]] = (-1, frozenset())
        self._counts: Counter[Figure] = Counter()
        self._lock = threading.Lock()
        self._ended = False
        self._counts_alarms_only = False

    def redact(self, secrets: Iterable[str]) -> None:
        """Hide further secrets in this invocation's lines."""
        self._added_secrets.extend(secrets)

    @property
    def secrets(self) -> frozenset[str]:
        """Return every text that no line of this invocation may contain."""
        if self._request_secrets is None:
            self._request_secrets = frozenset(self._find_secrets())
        # Secrets are only ever added, so an equal number means an unchanged list.
        number = len(self._added_secrets)
        cached_number, secrets = self._cached_secrets
        if cached_number != number:
            secrets = self._request_secrets.union(self._added_secrets[:number])
            self._cached_secrets = (number, secrets)
        return secrets

    def add(self, figure: Figure, value: int) -> bool:
        """Add to a count. Returns False if the invocation has ended and its counts are written."""
        with self._lock:
            if not self._ended and not (self._counts_alarms_only and figure[0] != ALARM):
                self._counts[figure] += value
            return not self._ended

    def leave_out_figures(self) -> None:
        """Count nothing from now on but what operators must look at."""
        self._counts_alarms_only = True

    def end(self) -> dict[Figure, int]:
        """Return the counts and refuse further ones."""
        with self._lock:
            self._ended = True
            return dict(self._counts)


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """Return the invocation of this context, or None outside one."""
    return _current.get()


def correlation_id() -> str | None:
    """Return the correlation id of this context's invocation, or None outside one.

    It is part of the invocation's log lines, metrics and outgoing messages.
    """
    invocation = _current.get()
    return None if invocation is None else invocation.correlation_id


def redact(*secrets: str) -> None:
    """Hide these texts in the log lines of this context's invocation."""
    invocation = _current.get()
    if invocation is not None:
        invocation.redact(secrets)


def leave_out_figures() -> None:
    """Leave the metrics of this context's invocation uncounted, except those of alarms.

    For the canary, whose recoveries are not people's.
    """
    invocation = _current.get()
    if invocation is not None:
        invocation.leave_out_figures()


@contextmanager
def begun(invocation: Invocation) -> Iterator[Invocation]:
    """Make the invocation the current one until the block ends."""
    token = _current.set(invocation)
    try:
        yield invocation
    finally:
        _current.reset(token)


@contextmanager
def redacting(secrets: Iterable[str]) -> Iterator[None]:
    """Hide these texts in the log lines of the block, which may be outside an invocation."""
    added, outer = list(secrets), current()
    invocation = Invocation(
        correlation_id() or "",
        "" if outer is None else outer.request_id,
        lambda: [*added, *(() if outer is None else outer.secrets)],
    )
    # Ended, so that metrics of the block are written at once, as outside an invocation.
    invocation.end()
    with begun(invocation):
        yield
