"""People, an attacker, the support desk and the yearly run at once, over several processes of the service.

`python -m tests.perf.load [--processes N] [--seconds N] [--people N] [--pause S] [--faults]`.
On loopback alone; ends by itself. The processes share one DynamoDB Local. Among the people is an attacker:
one WeChat that begins recoveries of other logins, has codes sent and guesses them at full speed. Nobody but
the attacker may be refused for what the attacker does. At the desk, pairs of an agent and a supervisor and
an auditor work; the yearly run resets every finance login, on workers of its own.

The limits by login and by destination are the real ones, and are checked afterwards; those of an address
are raised, since everybody comes from one, and so are the other budgets of the whole service.

With `--faults`, or `--fault` for one of them, DynamoDB Local is stopped and started again, then the SMS
vendor hangs, then WeChat answers -1. What people get meanwhile is counted by answer. Afterwards everybody
recovers once more, and the desk finishes what was interrupted.

Writes artifacts/load.json. Exits 1 where anything was lost, let through, answered 5xx without a fault that
explains it, or later than the function's time-out, or where a person was refused within the person's own
limits, or could not finish.

A machine that cannot keep up fails too: DynamoDB Local then answers after the service's time-out of
two seconds, which is a 503, and whether the write took effect is in doubt. A longer `--pause` is less load.
With `--proof` people solve proofs of work too, on the same machine; the attacker does in any case.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from tests.perf.load.run import measure
from tests.perf.load.world import FAULTS, Options


@click.command(help=__doc__)
@click.option("--seconds", type=click.FloatRange(min=1), default=120, show_default=True)
@click.option("--people", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--pause",
    type=click.FloatRange(min=0.1),
    default=20,
    show_default=True,
    help="seconds that a person rests between steps, on average",
)
@click.option("--proof", is_flag=True, help="people solve proofs of work, too")
@click.option("--attacker/--no-attacker", default=True, show_default=True)
@click.option(
    "--pairs",
    type=click.IntRange(0, 20),
    default=2,
    show_default=True,
    help="pairs of an agent and a supervisor at the desk",
)
@click.option("--yearly/--no-yearly", default=True, show_default=True)
@click.option(
    "--logins",
    type=click.IntRange(min=0),
    default=1_000,
    show_default=True,
    help="finance logins that the yearly run resets, beside the people's",
)
@click.option("--faults", is_flag=True, help="all faults, one after the other")
@click.option("--fault", "named", type=click.Choice(FAULTS), multiple=True, help="this fault")
@click.option(
    "--fault-seconds",
    type=click.FloatRange(min=1),
    default=10,
    show_default=True,
    help="longest time of a fault",
)
def main(faults: bool, named: tuple[str, ...], **options: Any) -> None:
    """Run the load, print and write the result; exit with 1 where something is wrong."""
    result = measure(Options(**options, faults=FAULTS if faults else named))
    result.write()
    for line in result.lines():
        print(line)
    sys.exit(1 if result.lost else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.load")
