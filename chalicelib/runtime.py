"""The one service of the process, built at the first use and replaceable in tests and commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .botocore_session import new_session
from .container import Service
from .foundation import now
from .settings.loader import SECRETS_CONFIG, Built, SettingsSource


def _secrets_manager() -> Any:
    # botocore without boto3, whose import would delay a cold start.
    return new_session().create_client("secretsmanager", config=SECRETS_CONFIG)


def _from_environment(clock: Callable[[], int] = now) -> Built[Service]:
    return Built(SettingsSource(os.environ, now, _secrets_manager), partial(Service, clock=clock))


_built = _from_environment()
_service: Service | None = None


def service() -> Service:
    """Return the process's service.

    Raises SettingsError if a setting is missing or malformed, Unavailable if the secret cannot be
    read.
    """
    return _built.get() if _service is None else _service


def install(replacement: Service | None, clock: Callable[[], int] = now) -> None:
    """Replace the process's service; None has it built again from the environment.

    `clock`, which returns epoch seconds, is that of services built from the environment.
    """
    global _built, _service
    _built, _service = _from_environment(clock), replacement


@contextmanager
def using(replacement: Service | None) -> Iterator[None]:
    """Replace the process's service until the block ends; None as for `install`."""
    previous = _service
    install(replacement)
    try:
        yield
    finally:
        install(previous)
