"""Whether pinned packages have known vulnerabilities, by pip-audit; says so where it cannot tell.

`python -m tests.support.audit` exits 0 only where an advisory database was asked and knows of none.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
FILES = ("requirements.txt", "infra/requirements.txt", "tests/requirements.txt")
CANNOT_TELL = 2

# pip-audit exits with 1 both for a finding and for a failure; a finding has this line.
_FOUND = "known vulnerabilit"
_SKIPPED = "could not be audited"


def run(command: Sequence[str]) -> int:
    """Run this command for each file; return 0 for no vulnerability, 1 for some, 2 for no answer."""
    worst = 0
    for file in FILES:
        asked = [*command, "--disable-pip", "--require-hashes", "-r", str(ROOT / file)]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return _cannot_tell(f"pip-audit did not run to its end: {type(error).__name__}")
        words = done.stdout + done.stderr
        # It also exits with 0 for a package that is not in the database at all.
        if _SKIPPED in words:
            count = words.count(_SKIPPED)
            return _cannot_tell(f"The database that was asked does not know {count} packages.")
        if done.returncode and _FOUND not in words.lower().replace("no known", ""):
            last = words.strip().splitlines()[-1:] or ["no word"]
            return _cannot_tell(f"pip-audit got no answer: {last[0][:200]}")
        print(f"{file}: {'vulnerabilities, see below' if done.returncode else 'none known'}")
        if done.returncode:
            print(words)
            worst = 1
    return worst


def _cannot_tell(why: str) -> int:
    print(f"Known vulnerabilities were NOT looked up. {why}")
    print("That takes pip-audit and an advisory database, which is on the network.")
    return CANNOT_TELL


@click.command(help=__doc__)
def main() -> None:
    """Audit every pinned package; return the exit status of `run`."""
    found = shutil.which("pip-audit")
    sys.exit(run([found]) if found else _cannot_tell("pip-audit is not installed here."))


if __name__ == "__main__":
    main(prog_name="python -m tests.support.audit")
