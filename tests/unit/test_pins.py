"""The lock files: exact versions, hashes, and the same choice in all three files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# Each file holds all of the one before, and more.
FILES = ("requirements.txt", "infra/requirements.txt", "tests/requirements.txt")
GROUPS = ("", "infra", "tests")


def pinned(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return version and SHA-256 hashes by name. Raises ValueError for a line that is no such pin."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = line.partition(" #")[0].strip()
        if not words or words.startswith("#"):
            continue
        requirement = Requirement(words.partition(" --hash=")[0])
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        hashes = re.findall(r" --hash=sha256:([0-9a-f]{64})(?![0-9a-f])", words)
        if exact is None or requirement.url or not hashes or words.count("--hash") != len(hashes):
            raise ValueError(f"not pinned with hashes: {words[:60]}")
        found[canonicalize_name(requirement.name)] = exact[1], frozenset(hashes)
    return found


def required(group: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml: the runtime's and a group's, with included groups."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    entries = list(project["project"]["dependencies"])
    groups = [group] if group else []
    while groups:
        for entry in project["dependency-groups"][groups.pop()]:
            if isinstance(entry, str):
                entries.append(entry)
            else:
                groups.append(entry["include-group"])
    return [Requirement(entry) for entry in entries]


PINS = [pinned((ROOT / file).read_text("utf-8")) for file in FILES]


@pytest.mark.parametrize(("pins", "group"), list(zip(PINS, GROUPS, strict=True)), ids=FILES)
def test_each_file_pins_every_requirement(
    pins: dict[str, tuple[str, frozenset[str]]], group: str
) -> None:
    """Each within its range."""
    for requirement in required(group):
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


@pytest.mark.parametrize("number", [1, 2], ids=FILES[1:])
def test_the_files_agree(number: int) -> None:
    """What is tested is what is deployed: the same version with the same hashes."""
    for name, pin in PINS[number - 1].items():
        assert PINS[number][name] == pin, name


@pytest.mark.parametrize(
    "line",
    [
        "requests==2.32.5",
        "requests>=2.32 --hash=sha256:" + "0" * 64,
        "requests==2.* --hash=sha256:" + "0" * 64,
        "requests==2.32.5 --hash=md5:" + "0" * 32,
        "requests==2.32.5 --hash=sha256:" + "0" * 63,
        "requests @ https://example.com/requests.whl --hash=sha256:" + "0" * 64,
    ],
)
def test_a_line_that_is_no_pin_is_found(line: str) -> None:
    """A range, a wildcard, a weak or missing hash, or an address."""
    with pytest.raises(ValueError, match="not pinned"):
        pinned(line + "\n")
