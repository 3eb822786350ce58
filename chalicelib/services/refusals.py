"""Record refused requests in the audit of their login, rolled up by kind, requester and day."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..domain.errors import (
    DetailsDoNotMatch,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
)
from ..domain.logins import parse_login
from ..store import audit

log = logging.getLogger(__name__)

LIMITED = "refused-"
"""The prefix of the events of limits; the limit's name follows."""


class Refusals:
    """Records what was refused to whom."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    @contextmanager
    def recorded(self, login_text: str) -> Iterator[None]:
        """Record the refusal that the block raises, if it concerns a login that exists.

        Best effort: a record that fails is logged, and the refusal is raised in any case.
        """
        try:
            yield
        except ServiceError as error:
            event = _event(error)
            if event is not None:
                self._record(str(parse_login(login_text)), event)
            raise

    def _record(self, login: str, event: str) -> None:
        try:
            audit.roll_up(login, event, self._clock())
        except Exception as error:
            log.warning("a refusal was not recorded: %s", type(error).__name__)


def _event(error: ServiceError) -> str | None:
    """Return the audit's name of a refusal; None where no login need exist or nothing was tried.

    Wrong codes are recorded where they are counted, by `store.codes`.
    """
    if isinstance(error, DetailsDoNotMatch):
        return "details-wrong"
    if isinstance(error, TooManyAttempts | TooManyRequests):
        return LIMITED + error.limit
    return None
