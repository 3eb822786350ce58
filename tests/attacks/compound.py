"""Defences that stand behind one another: the attack falls through once all of them are out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.attacks.proving import Defence


class Together:
    """Several defences that are taken out at once, where each alone would still hold."""

    def __init__(self, *defences: Defence) -> None:
        self._defences = defences

    @property
    def named(self) -> str:
        return " + ".join(each.named for each in self._defences)

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        with ExitStack() as stack:
            for each in self._defences:
                stack.enter_context(each.taken_out())
            yield
