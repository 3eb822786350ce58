"""Proof that a test depends on a defence: with the defence removed, the test must fail.

`@attack(number, defence, …)` runs a test once with the unchanged program, and once more for each defence
with that one removed. The code object of the function is replaced, so that every reference to the
function uses the changed code.
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
    """Code that can be removed from the running program for a time."""

    @property
    def named(self) -> str:
        """Its place and its text."""

    def taken_out(self) -> AbstractContextManager[None]:
        """Remove it until the block ends."""


@dataclass(frozen=True)
class SourceMutation:
    """A piece of a function's source, replaced by `instead`, by default by nothing."""

    function: Callable[..., Any]
    text: str
    instead: str = ""
    further: tuple[tuple[str, str], ...] = ()
    """Other pieces of the same function, with their replacements."""

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
            assert source.count(text) == 1, f"not exactly once in the source: {self.named}"
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
    """Return the undecorated function."""
    if isinstance(function, property):
        function = function.fget
    bare = inspect.unwrap(getattr(function, "__func__", function))
    assert isinstance(bare, FunctionType), bare
    return bare


def _compiled(function: FunctionType, source: str) -> CodeType:
    """Compile the changed source of a function with the same name and free variables."""
    head = source.index("def ")
    start = source.rfind("\n", 0, head) + 1
    # Decorators are left out. An outer function provides the free variables.
    inner = textwrap.indent(source[start:], "    ")
    free = function.__code__.co_freevars
    outer = f"def outer({', '.join(free)}):\n{inner}\n    return {function.__name__}\n"
    flags = function.__code__.co_flags & _FUTURE
    namespace: dict[str, Any] = {}
    code = compile(outer, inspect.getfile(function), "exec", flags=flags, dont_inherit=True)
    exec(code, dict(function.__globals__), namespace)
    changed: CodeType = namespace["outer"](*[None] * len(free)).__code__
    assert changed.co_freevars == free, f"other free variables: {changed.co_freevars}"
    return changed


# `from __future__ import annotations`, as a compiler's flag.
_FUTURE = 0x1000000


@dataclass(frozen=True)
class Value:
    """An attribute of a module or a class, replaced by `instead`."""

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
    """Several defences, each of which alone prevents the attack: they are removed together."""

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
    """One row of the table of attacks."""

    number: int
    test: str
    defences: tuple[str, ...]


ATTACKS: list[Attack] = []
"""The attacks declared so far."""


def attack(number: int, *defences: Defence) -> Callable[[Callable[..., None]], Any]:
    """Declare a test as the attack of this number, prevented by these defences.

    Without any one of them the test must fail by an assertion; another exception would only show
    that the changed program fails by itself.
    """
    assert defences, "an attack has at least one defence"

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
        parameters = list(inspect.signature(test).parameters.values())
        out = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([out, *parameters])  # type: ignore[attr-defined]
        names = _names(defences)
        return pytest.mark.parametrize("out", [None, *defences], ids=["holds", *names])(run)

    return declared


def _names(defences: Sequence[Defence]) -> list[str]:
    return [f"falls without defence {number}" for number in range(1, len(defences) + 1)]
