"""The documents and the modules of a page, as tests read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser

LATER = ("data-screens", "data-solver")
"""Attributes with the addresses that a page loads once its first screen can be used."""


class Elements(HTMLParser):
    """Every start tag of a document with its attributes, and the text within scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)

    def addresses(self, names: tuple[str, ...] = ("href", "src", *LATER)) -> list[str]:
        """Return what the document loads, once each: by href of a link, src, and LATER."""
        found = [
            values[name]
            for tag, values in self.found
            for name in names
            if values.get(name) and (tag != "a")
        ]
        return list(dict.fromkeys(found))

    def body(self) -> dict[str, str]:
        """Return the attributes of the body, which are the page's settings."""
        return next(values for tag, values in self.found if tag == "body")

    def with_code(self) -> list[tuple[str, str]]:
        """Return tag and name of each attribute that is a style or a handler of an event."""
        return [
            (tag, name)
            for tag, values in self.found
            for name in values
            if name == "style" or name.startswith("on")
        ]


def directives(policy: str) -> dict[str, str]:
    """Return the directives of a Content-Security-Policy by name."""
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


def undeclared_calls(read: Callable[[str], str], modules: Iterable[str]) -> set[str]:
    """Return the names that the modules call as functions and do not declare."""
    text = "".join(map(read, modules))
    code = re.sub(r"(?s:/\*.*?\*/)|(?m:^\s*//.*$|^import .*$)", "", text)
    declared = set(re.findall(r"(?:function|class|const|let)\s+([\w$]+)", code))
    parameters = set(re.findall(r"[\w$]+", " ".join(re.findall(r"\(([^()]*)\) (?:=>|\{)", code))))
    called = set(re.findall(r"(?<![\w$.])(?:\.\.\.)?([A-Za-z_$][\w$]*)\(", code))
    assert "call" in called, "the pattern finds no calls"
    return called - declared - parameters - {"constructor", "drop"}


def declared_twice(read: Callable[[str], str], modules: Iterable[str]) -> list[str]:
    """Return the names that are declared twice, or imported before or from where they are not."""
    given: dict[str, str] = {}
    faults = []
    for module in modules:
        text = read(module)
        for names, source in re.findall(r'^import \{([^}]*)\} from "\./([a-z]+\.js)";', text, re.M):
            for name in re.split(r"\s*,\s*", names.strip(" ,\n")):
                if given.get(name) != source:
                    faults.append(f"{module} imports {name} from {source}")
        for name in re.findall(
            r"^(?:export )?(?:async )?(?:const|let|function|class) ([\w$]+)", text, re.M
        ):
            if name in given:
                faults.append(f"{name} is in {given[name]} and {module}")
            given[name] = module
    assert given, "the pattern finds no declarations"
    return faults
