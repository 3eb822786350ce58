"""Assets of a page; each name contains a hash of the content, so browsers cache them for ever.

The modules of a page are served as one file, minified, so that a slow network loads the page in one
round of requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from rcssmin import cssmin
from rjsmin import jsmin

FOLDER = "assets"

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


def read_file(package: str, name: str) -> str:
    """Return the source of a file of a page's package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def build(
    sources: Mapping[str, tuple[str, ...]], read: Callable[[str], str]
) -> Mapping[str, Asset]:
    """Return the assets by their plain names; `sources` has the files that each is joined from."""
    return {plain: _asset(plain, names, read) for plain, names in sources.items()}


def by_served_name(assets: Mapping[str, Asset]) -> Mapping[str, Asset]:
    """Return the assets by their served names."""
    return {asset.name: asset for asset in assets.values()}


def _asset(plain: str, sources: tuple[str, ...], read: Callable[[str], str]) -> Asset:
    text = "".join(_served(source, read(source)) for source in sources)
    stem, _, ending = plain.partition(".")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], text)


def _served(source: str, text: str) -> str:
    if source.endswith(".css"):
        return str(cssmin(text))
    if source.endswith(".js"):
        return str(jsmin(_EXPORT.sub("", _IMPORT.sub("", text)))) + "\n"
    return text
