"""SlipCover's probes in the program's modules: for pytest and for the processes that tests start."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import slipcover
from slipcover import branch, importer

ROOT = Path(__file__).parents[2]
REPORTS_VARIABLE = "COVERAGE_REPORTS"
"""Names the folder in which a process that a test started leaves its report."""

_NOT_COUNTED = ["if TYPE_CHECKING:", "raise NotImplementedError", "@overload", r"^\s*\.\.\.$"]

# Probes of lines that were seen stay in place. Removing them replaces the code of functions while they
# run, and iterates over the variables of every thread, which fails where a thread adds one meanwhile.
_NEVER = 2**31 - 1


def passed_on() -> dict[str, str]:
    """Return the variables with which a process is measured, for one with an environment of its own.

    Empty where nothing is measured.
    """
    names = ("PYTHONPATH", REPORTS_VARIABLE) if REPORTS_VARIABLE in os.environ else ()
    return {name: os.environ[name] for name in names}


def create(unimported: Sequence[str] = ()) -> Any:
    """Return probes; files of these folders of the project are reported even if nothing imports them."""
    source = [str(ROOT / name) for name in unimported] or None
    return slipcover.Slipcover(
        branch=True, source=source, d_miss_threshold=_NEVER, exclude_also=_NOT_COUNTED
    )


def insert(probes: Any, *places: str) -> None:
    """Instrument the modules in these folders and files of the project that are imported from now on."""
    # Python requests the code of the module that `python -m` runs from the loader and executes it by
    # itself; SlipCover's loader would return it as it is.
    importer.SlipcoverLoader.get_code = _instrumented
    program = slipcover.FileMatcher(sources=[ROOT / place for place in places])
    slipcover.ImportManager(probes, program).__enter__()


def _instrumented(loader: Any, _: str) -> CodeType:
    tree = branch.preinstrument(ast.parse(loader.origin.read_bytes()))
    code: CodeType = loader.sci.instrument(
        compile(tree, str(loader.origin), "exec", dont_inherit=True)
    )
    return code
