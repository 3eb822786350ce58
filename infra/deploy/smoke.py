"""Try a deployment: `python -m infra.deploy.smoke https://recovery.example.org --stack recovery`.

From outside: the version, the page, and that an unsigned login is refused. With `--stack` also a whole
recovery of the test firm, which the stack's canary makes at once: its code is read by the canary's role
alone, so that whoever deploys needs no access to codes, only the permission to invoke that function.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import click
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.version import VERSION

_TIMEOUT = 15
"""Seconds, longer than a cold start."""

OUTPUT = "CanaryFunction"
"""The stack's output with the canary's function."""

# A run of the schedule at the same moment changes the same login; then one of the two fails.
_TRIES = 2

# The function ends after a minute, and a repeated request would be another run.
_CONFIG = Config(read_timeout=75, retries={"total_max_attempts": 1})


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


def recovery_fault(stack: str) -> str:
    """Recover the test firm's password by a stack's canary; return a sentence, empty after a success."""
    try:
        function = _canary_of(stack)
        if not function:
            return f"the stack {stack} has no output {OUTPUT}"
        client = boto3.client("lambda", config=_CONFIG)
        fault = ""
        for _ in range(_TRIES):
            fault = _fault(client.invoke(FunctionName=function, Payload=b"{}"))
            if not fault:
                break
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        return f"the recovery was not tried: {code or type(error).__name__}"
    return fault


def _canary_of(stack: str) -> str:
    (described,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    return str(outputs.get(OUTPUT, ""))


def _fault(answer: Any) -> str:
    if answer.get("FunctionError"):
        return "the recovery was not tried: the canary failed, see its log"
    result = json.loads(answer["Payload"].read())
    if result.get("version") != VERSION:
        return f"the canary has version {result.get('version')}, not {VERSION}"
    if not result["succeeded"]:
        return f"the recovery failed at the step {result['step']}: {result['problem']}"
    return ""


@click.command(help="Try a deployment; the exit status is 1 if a check fails.")
@click.argument("site")
@click.option("--stack", metavar="NAME", help="Also recover the test firm by this stack's canary.")
def main(site: str, stack: str | None) -> None:
    """Print the faults."""
    found = list(faults(site.rstrip("/")))
    if stack is not None and (fault := recovery_fault(stack)):
        found.append(fault)
    for each in found:
        click.echo(each)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.smoke")
