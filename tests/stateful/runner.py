"""Runs the state machine by hypothesis.

`python -m tests.stateful.runner --steps 20000` runs it with new random numbers; `--seed` repeats a failure.
"""

from __future__ import annotations

import argparse
import functools
import logging
import secrets
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from unittest.mock import patch

from hypothesis import Phase, seed, settings, stateful
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.reflection import function_digest

# Sets the environment of AWS, which the other modules read.
import tests.conftest  # noqa: F401
from tests.stateful.machine import Machine

LENGTH = 50
"""The maximal number of steps in one run."""

RUNS = 2
"""Runs of one seed. After some of them hypothesis begins to vary earlier ones, which finds less here than
new runs do; and one run is soon repeated."""

STEPS = 6_000
"""Steps of the suite."""


# A run has no database, whose key this is: the machine's source text, read and split into words anew.
_digest = functools.cache(function_digest)


def seeds(steps: int) -> range:
    """Return the seeds that are needed for so many steps."""
    return range(-(-steps // (LENGTH * RUNS)))


def run(seeds: Iterable[int], phases: Sequence[Phase]) -> None:
    """Run the machine once for each seed, reproducibly. Raises what a run raises.

    hypothesis prefers to draw constants of the loaded modules, which depend on the tests that ran
    before; this is switched off.
    """
    with (
        patch.object(HypothesisProvider, "_maybe_draw_constant", lambda *_, **__: None),
        patch.object(stateful, "function_digest", _digest),
    ):
        for number in seeds:
            seed(number)(Machine)
            Machine.seed = number
            stateful.run_state_machine_as_test(
                Machine,
                settings=settings(
                    # The first run is the simplest one, without any step.
                    max_examples=RUNS + 1,
                    stateful_step_count=LENGTH,
                    database=None,
                    deadline=None,
                    phases=phases,
                    report_multiple_bugs=False,
                ),
            )


def failures(first: int, steps: int) -> Iterator[int]:
    """Run seeds from `first` on until so many steps were done; yield each seed that failed.

    Prints the traceback of a failure and the actions that led to it.
    """
    for number in count(first):
        if Machine.steps.total() >= steps:
            return
        try:
            run([number], [Phase.generate])
        except Exception:
            traceback.print_exc(limit=-6)
            print(f"seed {number} failed after: {', '.join(Machine.last_actions)}")
            yield number


def table(counts: Counter[str]) -> str:
    """Return counts as a line, the highest first."""
    return ", ".join(f"{name} {often}" for name, often in counts.most_common())


def main() -> int:
    """Run so many steps at random and print what was done; return 1 if a run failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.stateful.runner", description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="the number of actions")
    parser.add_argument("--seed", type=int, help="the first seed, which is random by default")
    options = parser.parse_args()
    first = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(f"seed {first}", flush=True)
    # pytest would load it before the tests.
    import tests.support.moto_parsing  # noqa: F401
    from tests.stateful import environment

    warnings.filterwarnings("ignore", "IAMAuthorizer", UserWarning)
    # Most runs exceed limits, each of which is logged.
    logging.disable(logging.CRITICAL)
    with environment.running() as Machine.environment:
        failed = list(failures(first, options.steps))
    print(f"{Machine.steps.total()} steps: {table(Machine.steps)}")
    print(f"{len(Machine.answers)} kinds of answers: {table(Machine.answers)}")
    print(f"failed seeds: {', '.join(map(str, failed)) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
