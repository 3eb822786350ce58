"""The npm package oidc-provider, an OpenID Certified provider, as a process of the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import requests

from tests.browser.needs import CACHE, CannotHave, exclusively
from tests.support.desk import SECRET, SITE

VERSION = "8.8.1"
"""The newest one that runs on Node.js 18, which Debian 12 has."""

_SCRIPT = Path(__file__).with_suffix(".mjs")
_PATIENCE = 10


@dataclass(frozen=True)
class CertifiedProvider:
    """A running provider, by its issuer."""

    url: str

    def sign_in(self, session: requests.Session, address: str, person: str) -> str:
        """Go through the provider's pages as this person and return where it leads back to.

        `session` is the person's browser at the provider; where it is signed in, nothing is typed.
        """
        answer = session.get(address, allow_redirects=False, timeout=_PATIENCE)
        for _ in range(10):
            if answer.status_code == 200:
                # The provider's page for development: first the name, then the consent.
                prompts = re.findall(r'name="prompt" value="(\w+)"', answer.text)
                form = {"prompt": prompts[0], "login": person, "password": "any"}
                answer = session.post(answer.url, form, allow_redirects=False, timeout=_PATIENCE)
                continue
            assert answer.is_redirect, answer.text
            target = urljoin(answer.url, answer.headers["Location"])
            if target.startswith(SITE):
                return target.removeprefix(SITE)
            answer = session.get(target, allow_redirects=False, timeout=_PATIENCE)
        raise AssertionError("the provider leads nowhere")

    def sign_out(self, session: requests.Session, address: str) -> str:
        """Confirm the sign-out at the provider and return where it leads to."""
        page = session.get(address, timeout=_PATIENCE)
        assert page.status_code == 200, page.text
        (action,) = re.findall(r'action="([^"]+)"', page.text)
        (xsrf,) = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
        form = {"xsrf": xsrf, "logout": "yes"}
        answer = session.post(
            urljoin(page.url, action), form, allow_redirects=False, timeout=_PATIENCE
        )
        return str(answer.headers["Location"])


def installed() -> Path:
    """Return the folder of the package, which is installed once. Raises CannotHave."""
    folder = CACHE / f"oidc-provider-{VERSION}"
    npm = shutil.which("npm")
    with exclusively():
        if folder.exists():
            return folder
        if npm is None:
            raise CannotHave("oidc-provider comes from npm, and npm is not here")
        staging = Path(tempfile.mkdtemp(dir=CACHE))
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(
            [*command, f"--prefix={staging}", f"oidc-provider@{VERSION}"],
            capture_output=True,
            check=False,
            timeout=240,
        )
        if done.returncode:
            shutil.rmtree(staging, ignore_errors=True)
            raise CannotHave(f"npm install oidc-provider failed: {done.stderr.decode()[-300:]}")
        # Renamed whole, so that a run that is killed leaves nothing half there.
        staging.rename(folder)
    return folder


@contextmanager
def running() -> Iterator[CertifiedProvider]:
    """Run the provider until the block ends. Raises CannotHave."""
    folder, node = installed(), shutil.which("node")
    if node is None:
        raise CannotHave("oidc-provider needs Node.js")
    arguments = [str(folder), SECRET, f"{SITE}/support/callback", f"{SITE}/support/"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [node, str(_SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"PATH": os.environ.get("PATH", "")},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            issuer = process.stdout.readline().decode().strip()
            if not issuer:
                log.seek(0)
                raise AssertionError(log.read().decode()[-2_000:])
            yield CertifiedProvider(issuer)
        finally:
            # The end of its standard input ends it.
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            process.stdout.close()
