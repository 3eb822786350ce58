"""Assets of a page; each name contains a hash of the content, so browsers cache them for ever.

The modules of a page are served as one file, minified, so that a slow network loads the page in one
round of requests. A page may load further modules afterwards, as another file that imports from the first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
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

# Joined modules share one scope: imports within an asset are removed, and exports that no other asset reads.
_IMPORT = re.compile(r"^import \{([^}]*)\} from \"\./([a-z]+\.js)\";\n", re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?=(?:const|let|class|function|async function) ([\w$]+))", re.MULTILINE
)


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
    sources: Mapping[str, tuple[str, ...]],
    read: Callable[[str], str],
    dynamic: Collection[str] = (),
) -> Mapping[str, Asset]:
    """Return the assets by their plain names.

    `sources` has the files that each is joined from. A module may import from its own asset, and from one
    that precedes it in `sources`. `dynamic` has the exports that are read from the result of `import()`.
    """
    holders = {module: plain for plain, modules in sources.items() for module in modules}
    imports: dict[str, dict[str, set[str]]] = {
        plain: _imports("".join(map(read, modules)), holders, plain)
        for plain, modules in sources.items()
        if plain.endswith(".js")
    }
    built: dict[str, Asset] = {}
    for plain, modules in sources.items():
        exported = {name for each in imports.values() for name in each.get(plain, ())}.union(
            dynamic
        )
        head = "".join(
            f'import {{ {", ".join(sorted(names))} }} from "./{built[holder].name}";\n'
            for holder, names in imports.get(plain, {}).items()
        )
        text = "".join(_served(source, read(source), exported) for source in modules)
        built[plain] = _asset(plain, head + text)
    return built


def _imports(text: str, holders: Mapping[str, str], plain: str) -> dict[str, set[str]]:
    """Return the names that an asset's modules import from other assets, by the other's plain name."""
    found: dict[str, set[str]] = {}
    for listed, module in _IMPORT.findall(text):
        if holders[module] != plain:
            names = re.split(r"\s*,\s*", listed.strip(" ,\n"))
            found.setdefault(holders[module], set()).update(names)
    return found


def by_served_name(assets: Mapping[str, Asset]) -> Mapping[str, Asset]:
    """Return the assets by their served names."""
    return {asset.name: asset for asset in assets.values()}


def _asset(plain: str, text: str) -> Asset:
    stem, _, ending = plain.partition(".")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], text)


def _served(source: str, text: str, exported: set[str]) -> str:
    if source.endswith(".css"):
        return str(cssmin(text))
    if source.endswith(".js"):
        code = _EXPORT.sub(
            lambda found: found[0] if found[1] in exported else "", _IMPORT.sub("", text)
        )
        return str(jsmin(code)) + "\n"
    return text
