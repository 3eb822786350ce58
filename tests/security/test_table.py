"""The table of attacks is complete, and the document has it."""

from __future__ import annotations

from tests.conftest import Report
from tests.security.__main__ import DOCUMENT, declared, rendered

NUMBERS = {*range(1, 93)}


def test_every_attack_is_made(report: Report) -> None:
    """No number is missing, and each attack names a line whose loss its test notices."""
    table = declared()
    lines = {line for attacks in table.values() for each in attacks for line in each.defences}
    tests = sum(len(attacks) for attacks in table.values())
    report(f"{len(table)} attacks in {tests} tests, prevented by {len(lines)} defences")
    assert set(table) == NUMBERS


def test_the_document_is_up_to_date() -> None:
    """docs/attacks.md is the output of `python -m tests.security`."""
    assert DOCUMENT.read_text("utf-8") == rendered(declared())
