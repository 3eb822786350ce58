"""Writes docs/attacks.md: every attack, the tests that make it, the lines that hold it off."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.security.mutation import ATTACKS, Attack

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "attacks.md"

_HEAD = """# The attacks, and what holds them off

Written by `python -m tests.security` out of the tests in `tests/attacks`. Each test runs once as it is,
and once more for every line of defence in its row with that line taken out of the running program:
then it must fail. Lines joined by ` + ` stand behind one another and are taken out together.

| attack | what must hold | lines of defence |
| --- | --- | --- |
"""


def declared() -> dict[int, list[Attack]]:
    """What the test files of this folder declare, by the attack's number."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.security.{file.stem}")
    found: dict[int, list[Attack]] = {}
    for each in sorted(ATTACKS, key=lambda attack: attack.test):
        if each not in found.setdefault(each.number, []):
            found[each.number].append(each)
    return found


def written(table: dict[int, list[Attack]]) -> str:
    """The document's text."""
    rows = []
    for number, attacks in sorted(table.items()):
        for each in attacks:
            words = each.test.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")
            lines = "<br>".join(f"`{line}`" for line in dict.fromkeys(each.defences))
            rows.append(f"| {number} | {words} | {lines.replace('|', chr(92) + '|')} |\n")
    return _HEAD + "".join(rows)


def main() -> None:
    """The command."""
    DOCUMENT.write_text(written(declared()), "utf-8")


if __name__ == "__main__":
    main()
