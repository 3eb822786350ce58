"""The README's curl commands work as they stand, against the local stack."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_process import running

ROOT = Path(__file__).parent.parent.parent
PRINTED_SITE = "http://127.0.0.1:8000"

# Settings of this machine must not change the outcome.
_SETTINGS = ("AWS_", "SMS_", "WECHAT_", "LIMIT_", "SITE_", "SIGNING_", "CODE_")
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)
} | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@pytest.fixture
def site() -> Iterator[str]:
    """Yield the address of a local stack that runs without proof of work."""
    with running("--no-proof", environment=ENVIRONMENT) as address:
        yield address


def script() -> str:
    """Return the commands of the README's section, one after the other."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## The same by curl\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


def test_the_commands_end_with_a_verified_password(site: str, tmp_path: Path) -> None:
    """Three answers are printed: the send, the completion, and the signed verification."""
    curl = shutil.which("curl")
    if curl is None or "--aws-sigv4" not in _help(curl):
        pytest.skip("curl is missing or older than 7.75")
    commands = script()
    assert PRINTED_SITE in commands
    done = subprocess.run(
        ["sh", "-e", "-c", commands.replace(PRINTED_SITE, site)],
        cwd=tmp_path,
        env=ENVIRONMENT | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    sent, completed, verified = map(json.loads, done.stdout.splitlines())
    assert (sent["method"], sent["delivery"]) == ("sms", "sent")
    # The WeChat of the README does not follow the Official Account.
    assert completed.pop("qr").startswith("data:image/svg+xml")
    assert completed == {"login": "11010148", "wechat_bound": False}
    assert (verified["valid"], verified["must_change"]) == (True, False)


def _help(curl: str) -> str:
    return subprocess.run(
        [curl, "--help", "all"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
