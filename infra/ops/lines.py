"""What the readers of both kinds of directory file hand over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class DirectoryError(ValueError):
    """The file as a whole cannot be read; the text says why, in Chinese."""


@dataclass(frozen=True)
class Line:
    """A row as the file has it; `number` as a spreadsheet shows it, from 1."""

    number: int
    cells: tuple[str, ...] = field(repr=False)
    wrong: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with single cells: index to key of DIRECTORY_FAULTS."""
    numbers: frozenset[int] = frozenset()
    """Indexes of cells that the spreadsheet keeps as numbers; `cells` has their digits."""
    broken: bool = False
    """Whether the row's quotes do not match, so that it has no cells."""
