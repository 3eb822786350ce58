"""Rows as the readers of CSV and XLSX return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.ops.enrolment.trimming import trimmed


class DirectoryError(ValueError):
    """The file as a whole cannot be read; the text is the reason, in Chinese."""


@dataclass(frozen=True)
class Line:
    """A row of cells; `number` counts as a spreadsheet does, from 1."""

    number: int
    cells: tuple[str, ...] = field(repr=False)
    wrong: Mapping[int, str] = field(default_factory=dict)
    """Faults of single cells: index to key of DIRECTORY_FAULTS."""
    numbers: frozenset[int] = frozenset()
    """Indexes of cells stored as numbers; `cells` has their digits."""
    broken: bool = False
    """Whether the row's quotes do not match; it then has no cells."""
    notes: tuple[str, ...] = ()
    """Remarks on the file, in Chinese; only the first row has them."""

    def is_blank(self) -> bool:
        """Return whether the row has neither a visible character nor a fault."""
        return not self.broken and not self.wrong and not any(map(trimmed, self.cells))
