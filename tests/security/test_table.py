"""The table of the attacks: all of them are there, each with what holds it off."""

from __future__ import annotations

from tests.conftest import Tell
from tests.security.__main__ import DOCUMENT, declared, written

MOST = 64


def test_every_attack_is_made(tell: Tell) -> None:
    """Sixty-four of them, and each names a line whose loss its test notices."""
    table = declared()
    lines = {line for attacks in table.values() for each in attacks for line in each.defences}
    tests = sum(len(attacks) for attacks in table.values())
    tell(f"{len(table)} attacks in {tests} tests, held off by {len(lines)} lines of defence")
    assert sorted(table) == list(range(1, MOST + 1))


def test_the_document_is_the_table() -> None:
    """docs/attacks.md is what `python -m tests.security` writes."""
    assert DOCUMENT.read_text("utf-8") == written(declared())
