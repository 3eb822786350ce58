"""The assets of the support desk's page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..assets import Asset, build, by_served_name, read_file

# Each module follows those that it imports.
MODULES = (
    "api.js",
    "elements.js",
    "dialog.js",
    "search.js",
    "proposals.js",
    "phone.js",
    "facts.js",
    "timeline.js",
    "login.js",
    "reviews.js",
    "desk.js",
)

_SOURCES: Mapping[str, tuple[str, ...]] = {"desk.css": ("desk.css",), "desk.js": MODULES}


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
