"""An attack proves its own defence: with the line of defence taken out, its test must fail.

`@attack(number, defence, …)` runs a test once as it is and once more for each defence named, with
that one taken out of the running program. The functions' code is swapped in place, so that it does
not matter who holds a reference to them.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Protocol

import pytest


class Defence(Protocol):
    """Something that can be taken out of the running program for a while."""

    @property
    def named(self) -> str:
        """Where it stands, and what it says."""

    def taken_out(self) -> AbstractContextManager[None]:
        """The program without it, until the block ends."""


@dataclass(frozen=True)
class SourceMutation:
    """A piece of a function's source; in its place comes `instead`, by default nothing."""

    function: Callable[..., Any]
    text: str
    instead: str = ""
    further: tuple[tuple[str, str], ...] = ()
    """Other pieces of the same function, and what comes in their place."""

    @property
    def named(self) -> str:
        bare = _bare(self.function)
        texts = [text for text, _ in self._pieces]
        return f"{bare.__module__}.{bare.__qualname__}: {' + '.join(map(_flat, texts))}"

    @property
    def _pieces(self) -> tuple[tuple[str, str], ...]:
        return ((self.text, self.instead), *self.further)

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        bare = _bare(self.function)
        source = textwrap.dedent(inspect.getsource(bare))
        for text, instead in self._pieces:
            assert source.count(text) == 1, f"not once in the source: {self.named}"
            source = source.replace(text, instead)
        before = bare.__code__
        bare.__code__ = _compiled(bare, source)
        try:
            yield
        finally:
            bare.__code__ = before


def _flat(text: str) -> str:
    return " ".join(text.split())


def _bare(function: Any) -> FunctionType:
    """The function itself, out of what decorates it."""
    if isinstance(function, property):
        function = function.fget
    found = inspect.unwrap(getattr(function, "__func__", function))
    assert isinstance(found, FunctionType), found
    return found


def _compiled(function: FunctionType, source: str) -> CodeType:
    """The code of a function of this name and these free variables, out of its changed source."""
    head = source.index("def ")
    start = source.rfind("\n", 0, head) + 1
    # Decorators have done their work. Free variables are given by an outer function of their names.
    inner = textwrap.indent(source[start:], "    ")
    free = function.__code__.co_freevars
    outer = f"def outer({', '.join(free)}):\n{inner}\n    return {function.__name__}\n"
    flags = function.__code__.co_flags & _FUTURE
    found: dict[str, Any] = {}
    code = compile(outer, inspect.getfile(function), "exec", flags=flags, dont_inherit=True)
    exec(code, dict(function.__globals__), found)
    changed: CodeType = found["outer"](*[None] * len(free)).__code__
    assert changed.co_freevars == free, f"other free variables: {changed.co_freevars}"
    return changed


# `from __future__ import annotations`, as a compiler's flag.
_FUTURE = 0x1000000


@dataclass(frozen=True)
class Value:
    """An attribute of a module or a class; in its place comes `instead`."""

    holder: Any
    attribute: str
    instead: Any = field(repr=False)

    @property
    def named(self) -> str:
        holder = getattr(self.holder, "__qualname__", self.holder.__name__)
        return f"{getattr(self.holder, '__module__', '')}.{holder}.{self.attribute}".lstrip(".")

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.holder, self.attribute, self.instead)
            yield


class Together:
    """Several lines, any of which holds the attack off alone: they are taken out at once."""

    def __init__(self, *defences: Defence) -> None:
        self._defences = defences

    @property
    def named(self) -> str:
        return " + ".join(defence.named for defence in self._defences)

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        with ExitStack() as out:
            for defence in self._defences:
                out.enter_context(defence.taken_out())
            yield


@dataclass(frozen=True)
class Attack:
    """What the table says of an attack."""

    number: int
    test: str
    defences: tuple[str, ...]


ATTACKS: list[Attack] = []
"""Every attack that has been declared so far."""


def attack(number: int, *defences: Defence) -> Callable[[Callable[..., None]], Any]:
    """Declare a test as an attack of this number, held off by these defences.

    Without any one of them the test must fail by an assertion; another exception would only show
    that taking the line out broke the program.
    """
    assert defences, "an attack names what holds it off"

    def declared(test: Callable[..., None]) -> Any:
        ATTACKS.append(Attack(number, test.__name__, tuple(each.named for each in defences)))

        def run(out: Defence | None, **fixtures: Any) -> None:
            if out is None:
                test(**fixtures)
                return
            with out.taken_out(), pytest.raises((AssertionError, pytest.fail.Exception)):
                test(**fixtures)

        functools.update_wrapper(run, test)
        del run.__wrapped__  # type: ignore[attr-defined]
        wanted = list(inspect.signature(test).parameters.values())
        out = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([out, *wanted])  # type: ignore[attr-defined]
        names = _names(defences)
        return pytest.mark.parametrize("out", [None, *defences], ids=["holds", *names])(run)

    return declared


def _names(defences: Sequence[Defence]) -> list[str]:
    return [f"falls without defence {number}" for number in range(1, len(defences) + 1)]
