"""The page's assets; each name contains a hash of the content, so browsers cache them for ever.

The modules are served as one file, minified, so that a phone on a slow network loads the page in one
round of requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from rcssmin import cssmin
from rjsmin import jsmin

FOLDER = "assets"

# Each module follows those that it imports.
MODULES = ("api.js", "messages.js", "recovery.js", "verify.js", "page.js")

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

# The joined modules share one scope, so their imports and exports are removed.
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[a-z]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const |let |class |function |async function )", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A served file; `name` contains the hash, as in `page.0123456789ab.js`."""

    name: str
    content_type: str
    text: str

    @property
    def address(self) -> str:
        """Return the path relative to the document, which may be below a stage's path."""
        return f"{FOLDER}/{self.name}"


def read(name: str) -> str:
    """Return the source of a file of the page."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _served(source: str) -> str:
    text = read(source)
    if source.endswith(".css"):
        return str(cssmin(text))
    if source in MODULES:
        text = _EXPORT.sub("", _IMPORT.sub("", text))
    return str(jsmin(text)) + "\n" if source.endswith(".js") else text


def _asset(plain: str) -> Asset:
    text = "".join(_served(source) for source in _SOURCES[plain])
    stem, _, ending = plain.partition(".")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], text)


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets by their plain names."""
    return {plain: _asset(plain) for plain in _SOURCES}


@cache
def by_name() -> Mapping[str, Asset]:
    """Return the assets by their served names."""
    return {asset.name: asset for asset in assets().values()}
