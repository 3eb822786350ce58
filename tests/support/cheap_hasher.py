"""Replace a service's password hasher by one that costs next to nothing."""

from __future__ import annotations

from chalicelib.container import Service
from tests.conftest import CheapHasher


def cheap_hasher(service: Service) -> CheapHasher:
    """Return a cheap hasher with the service's own peppers."""
    peppers = service.settings.code_pepper
    return CheapHasher({version: pepper.key() for version, pepper in peppers.items()})
