"""Try a deployment from outside: `python -m infra.deploy.smoke https://recovery.example.org`.

Nothing is changed and nobody is notified. A recovery needs a code that only a phone receives, so it is
not tried here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import click
import requests

from chalicelib.version import VERSION

_TIMEOUT = 15
"""Seconds, longer than a cold start."""


def _health(site: str) -> str:
    answer = requests.get(f"{site}/health", timeout=_TIMEOUT)
    if answer.status_code != requests.codes.ok:
        return f"/health answers {answer.status_code}: see the log for the settings that it names"
    found = answer.json().get("version")
    return "" if found == VERSION else f"/health has version {found}, not {VERSION}"


def _page(site: str) -> str:
    answer = requests.get(f"{site}/", timeout=_TIMEOUT)
    is_page = answer.status_code == requests.codes.ok and "找回密码" in answer.text
    return "" if is_page else f"the page answers {answer.status_code}"


def _unsigned(site: str) -> str:
    body = {"login": "00000000", "password": "x"}
    answer = requests.post(f"{site}/credentials/verify", json=body, timeout=_TIMEOUT)
    is_refused = answer.status_code == requests.codes.forbidden
    return "" if is_refused else f"an unsigned login is answered {answer.status_code}, not 403"


CHECKS: tuple[Callable[[str], str], ...] = (_health, _page, _unsigned)


def faults(site: str) -> Iterator[str]:
    """Yield a sentence for each fault of the site at an address without a trailing slash."""
    for check in CHECKS:
        try:
            fault = check(site)
        except (requests.RequestException, ValueError) as error:
            fault = f"no answer: {type(error).__name__}"
        if fault:
            yield fault


@click.command(help="Try a deployment from outside; the exit status is 1 if a check fails.")
@click.argument("site")
def main(site: str) -> None:
    """Print the faults."""
    found = list(faults(site.rstrip("/")))
    for fault in found:
        click.echo(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.smoke")
