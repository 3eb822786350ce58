"""What attacks on the service cost, and what they reach.

`make abuse [ARGS="--only 1a,3 --logins N --requesters N --full-proof --output FILE"]`. Each attack plays
against a service of its own and uses its HTTP API alone; then the owner of a login that was not
attacked, and the owner of one that was, try to recover. The figures show what the present code and limits
permit; nothing is judged, and the exit status is 0 in any case.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from chalicelib.security.proof_of_work import COST
from tests.perf.abuse import on_logins, on_service
from tests.perf.abuse.people import Scale
from tests.perf.abuse.report import Result, table
from tests.perf.proofs import derivation_cpu_s

ATTACKS = dict(sorted({**on_logins.ATTACKS, **on_service.ATTACKS}.items()))


def chosen(only: str) -> list[str]:
    """Return the names of attacks that begin with one of these, comma separated; all for ""."""
    beginnings = tuple(each.strip() for each in only.split(",") if each.strip())
    return [name for name in ATTACKS if not beginnings or name.startswith(beginnings)]


def headline(scale: Scale) -> str:
    """Return how the figures were obtained."""
    proof = (
        "solved at full cost"
        if scale.full_proof
        else f"solved with all counters, each priced at {derivation_cpu_s(COST) * 1_000:.3f} ms of CPU "
        f"(PBKDF2, {COST:,} rounds, hashlib)"
    )
    return (
        f"The service in one process on moto, attacked through its HTTP API; its clock is moved, so that "
        f"days pass.\nWeChat and SMS are doubles. {scale.logins:,} logins. Proofs of work: {proof}."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop the service's log: refusals of attackers, and alarms."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="chalice")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _run(name: str, scale: Scale) -> Result:
    began = time.monotonic()
    result = ATTACKS[name](scale)
    click.echo(f"  {name} {time.monotonic() - began:.0f} s", err=True)
    return result


@click.command(help=__doc__)
@click.option("--only", default="", help="Attacks whose names begin so, comma separated.")
@click.option("--logins", type=click.IntRange(min=2), default=1_000, show_default=True)
@click.option("--requesters", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--full-proof", is_flag=True, help="Solve each proof of work at its full cost.")
@click.option("--output", type=click.Path(path_type=Path), help="A file for the results as JSON.")
def main(only: str, logins: int, requesters: int, full_proof: bool, output: Path | None) -> None:
    """Run the attacks and print the table."""
    scale = Scale(logins, requesters, full_proof)
    click.echo(headline(scale))
    with _quiet():
        results = [_run(name, scale) for name in chosen(only)]
    click.echo(table(results))
    if output is not None:
        rows = [asdict(result) for result in results]
        output.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.abuse")
