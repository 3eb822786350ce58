"""Pages of one message, which work without a script: freezing by a notice's link, unknown addresses."""

from __future__ import annotations

from functools import cache

from ..assets import read_file

LAYOUT = "layout.html"


@cache
def read(name: str) -> str:
    """Return the source of the layout or of a page's content."""
    return read_file(__package__, name)
