"""The assets of the recovery page.

The modules are served as two files: what the first screen needs, which a phone on a slow network loads in one
round of requests, and the further screens, which the page loads afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..assets import Asset, build, by_served_name, read_file

# Each module follows those that it imports.
FIRST_MODULES = ("api.js", "messages.js", "recovery.js", "page.js")
LATER_MODULES = ("verify.js", "unbinding.js", "follow.js", "done.js", "frozen.js")
MODULES = (*FIRST_MODULES, *LATER_MODULES)

_SOURCES: Mapping[str, tuple[str, ...]] = {
    "icon.svg": ("icon.svg",),
    "page.css": ("page.css",),
    "page.js": FIRST_MODULES,
    "screens.js": LATER_MODULES,
    "solver.js": ("solver.js",),
}

# What page.js reads from the further screens once they are loaded.
_DYNAMIC = ("refreshState",)


def read(name: str) -> str:
    """Return the source of a file of the page."""
    return read_file(__package__, name)


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets by their plain names."""
    return build(_SOURCES, read, _DYNAMIC)


@cache
def by_name() -> Mapping[str, Asset]:
    """Return the assets by their served names."""
    return by_served_name(assets())
