"""The page's files as they are served, under names that change with their content.

A browser may so keep them for ever. The page's modules travel as one, without their comments: a
phone on a slow network gets everything in one round of requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

FOLDER = "assets"

# A module comes after those that it imports from.
MODULES = ("server.js", "speech.js", "recovery.js", "verify.js", "page.js")

_SOURCES: Mapping[str, tuple[str, ...]] = {
    "icon.svg": ("icon.svg",),
    "page.css": ("page.css",),
    "page.js": MODULES,
    "solver.js": ("solver.js",),
}

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*.*?\*/[ \t]*\n", re.DOTALL | re.MULTILINE)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+|^\n", re.MULTILINE)
# The modules share one scope when they are joined: what they say of one another falls away.
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[a-z]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const |let |class |function |async function )", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A file as it is served; `name` has its hash within."""

    name: str
    content_type: str
    text: str

    @property
    def address(self) -> str:
        """Relative to the document, so that the page works below a stage's path as well."""
        return f"{FOLDER}/{self.name}"


def read(name: str) -> str:
    """A file of the page as it is written."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _served(source: str) -> str:
    text = read(source)
    if source.endswith(".svg"):
        return text
    if source in MODULES:
        text = _EXPORT.sub("", _IMPORT.sub("", text))
    return _INDENT.sub("", _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("", text)))


def _asset(plain: str) -> Asset:
    text = "".join(_served(source) for source in _SOURCES[plain])
    stem, _, ending = plain.partition(".")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], text)


@cache
def assets() -> Mapping[str, Asset]:
    """Each asset by its plain name."""
    return {plain: _asset(plain) for plain in _SOURCES}


@cache
def by_name() -> Mapping[str, Asset]:
    """Each asset by the name that it is served by."""
    return {asset.name: asset for asset in assets().values()}
