"""`python -m tests.support.audit` reports success only after pip-audit has answered."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from tests.support import audit


def fake_pip_audit(status: int, words: str) -> list[str]:
    """Put a command in the place of pip-audit."""
    return [sys.executable, "-c", f"import sys; print({words!r}); sys.exit({status})"]


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (0, "No known vulnerabilities found", 0),
        (1, "Found 1 known vulnerability in 1 package", 1),
        (1, "ConnectionError: Max retries exceeded", 2),
        (1, "", 2),
        (0, "No known vulnerabilities found\naltcha could not be audited: altcha (2.3.0)", 2),
    ],
)
def test_the_exit_status_distinguishes_none_some_and_no_answer(
    status: int, words: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """None known, some known, and no answer."""
    assert audit.run(fake_pip_audit(status, words)) == expected
    assert ("NOT looked up" in capsys.readouterr().out) == (expected == 2)


def test_a_missing_pip_audit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it, and the exit status is not 0."""
    monkeypatch.setenv("PATH", "")
    result = CliRunner().invoke(audit.main, [])
    assert result.exit_code == audit.CANNOT_TELL
    assert "pip-audit is not installed" in result.output


def test_an_unknown_option_is_a_usage_error() -> None:
    """Exit status 2, and nothing is audited."""
    result = CliRunner().invoke(audit.main, ["--files", "x"])
    assert result.exit_code == 2
    assert "No such option" in result.output
