"""The table of the vendors' refusals in docs/operations.md, compared with what the gateways do."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from chalicelib.sms import aliyun, sns, tencent
from tests.support.sms_codes import (
    ALIYUN_FINAL,
    ALIYUN_TRY_ANOTHER,
    SNS_ERRORS,
    TENCENT_COMMON,
    TENCENT_OF_SMS,
)

ROOT = Path(__file__).parents[2]
FINAL, PERHAPS_SENT, NEXT = "final", "may have been sent", "next gateway"

CODES = {
    "aliyun": [*ALIYUN_TRY_ANOTHER, *ALIYUN_FINAL],
    "tencent": [*TENCENT_OF_SMS, *TENCENT_COMMON],
    "sns": [code for code, _, _ in SNS_ERRORS],
}


def documented() -> list[tuple[str, str, str]]:
    """Return vendor, pattern of codes, and outcome, in the table's order."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    section = text.partition("## Refusals of the SMS vendors\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        vendor, codes, _, outcome = (cell.strip() for cell in line.strip("|").split("|"))
        # Behind a comma there is a case of a code, which the gateway's own test has.
        patterns = re.findall(r"`([^`]+)`", codes.partition(",")[0])
        found += [(vendor.strip("`"), pattern, outcome) for pattern in patterns]
    return found


def expected(vendor: str, code: str) -> str:
    """Return the outcome of a code as the gateway's module has it."""
    final = {"aliyun": aliyun.FINAL, "tencent": tencent.FINAL, "sns": sns.FINAL}[vendor]
    if code in final:
        return FINAL
    return PERHAPS_SENT if vendor == "tencent" and code in tencent.PERHAPS_SENT else NEXT


@pytest.mark.parametrize("vendor", CODES)
def test_every_code_is_in_the_table_with_its_outcome(vendor: str) -> None:
    """Its first row is the one that counts."""
    table = [(pattern, outcome) for name, pattern, outcome in documented() if name == vendor]
    for code in CODES[vendor]:
        rows = [outcome for pattern, outcome in table if fnmatchcase(code, pattern)]
        assert rows, f"{vendor}: no row for {code}"
        assert rows[0] == expected(vendor, code), code


def test_every_row_has_a_code() -> None:
    """A misspelt pattern would describe nothing."""
    for vendor, pattern, outcome in documented():
        assert outcome in (FINAL, PERHAPS_SENT, NEXT)
        assert any(fnmatchcase(code, pattern) for code in CODES[vendor]), pattern


def test_only_exact_codes_are_final() -> None:
    """No family of codes concerns the number."""
    final = {(vendor, code) for vendor, code, outcome in documented() if outcome == FINAL}
    assert final == {
        (vendor, code)
        for vendor, codes in CODES.items()
        for code in codes
        if expected(vendor, code) == FINAL
    }
