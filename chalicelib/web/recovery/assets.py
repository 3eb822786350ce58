"""The assets of the recovery page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..assets import Asset, build, by_served_name, read_file

# Each module follows those that it imports.
MODULES = ("api.js", "messages.js", "recovery.js", "verify.js", "page.js")

_SOURCES: Mapping[str, tuple[str, ...]] = {
    "icon.svg": ("icon.svg",),
    "page.css": ("page.css",),
    "page.js": MODULES,
    "solver.js": ("solver.js",),
}


def read(name: str) -> str:
    """Return the source of a file of the page."""
    return read_file(__package__, name)


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets by their plain names."""
    return build(_SOURCES, read)


@cache
def by_name() -> Mapping[str, Asset]:
    """Return the assets by their served names."""
    return by_served_name(assets())
