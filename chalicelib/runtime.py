"""The process's one service: built at its first use, replaceable for tests and commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .botocore_session import new_session
from .container import Service, now
from .settings.loader import SECRETS_CONFIG, Built, SettingsSource


def _secrets_manager() -> Any:
    # botocore alone: a cold start need not import boto3 for this.
    return new_session().create_client("secretsmanager", config=SECRETS_CONFIG)


def _own() -> Built[Service]:
    return Built(SettingsSource(os.environ, now, _secrets_manager), Service)


_built = _own()
_service: Service | None = None


def service() -> Service:
    """Return the process's service.

    Raises SettingsError if a setting is missing or malformed, Unavailable if the secret cannot be
    read.
    """
    return _built.get() if _service is None else _service


def install(replacement: Service | None) -> None:
    """Replace the process's service; None restores its own, which is then built again."""
    global _built, _service
    _built, _service = _own(), replacement


@contextmanager
def using(replacement: Service | None) -> Iterator[None]:
    """Replace the process's service until the block ends; None as for `install`."""
    before = _service
    install(replacement)
    try:
        yield
    finally:
        install(before)
